package profiles

import (
	"context"
	"errors"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// database is a database server of an experiment. Subjects may share it, so its
// CPU time is charged to the one that had the load last.
type database struct {
	subject.Database
	user    *runfolder.Block // whose slice was the last; nil between blocks
	lastCPU time.Duration    // when that began
	unknown error            // why the CPU time cannot be had
}

// databases are all of an experiment.
type databases []*database

func databasesOf(subjects []subject.Target) (all databases) {
	for _, d := range subject.Databases(subjects) {
		all = append(all, &database{Database: d})
	}
	return all
}

// of is the one that a subject uses, nil if there is none.
func (all databases) of(s subject.Target) *database {
	for _, d := range all {
		if d.Database == subject.DatabaseOf(s) {
			return d
		}
	}
	return nil
}

func (all databases) start(ctx context.Context) error {
	for _, d := range all {
		if err := d.Start(ctx); err != nil {
			return err
		}
		_, d.unknown = subject.DatabaseCPU(d)
	}
	return nil
}

func (all databases) stop() (err error) {
	for _, d := range all {
		err = errors.Join(err, d.Stop())
	}
	return err
}

// missing says why the CPU time of the database that a subject uses cannot be
// had, in an experiment that has any.
func (all databases) missing(d *database) string {
	if len(all) == 0 {
		return ""
	}
	if d == nil {
		return "it keeps its data in no database server"
	}
	if d.unknown != nil {
		return d.unknown.Error()
	}
	return ""
}

// charge ends the time of the block that had the last slice, and begins that of
// the next one's, nil after the last. Work that requests leave behind is theirs
// up to then. A server whose CPU time is not known is charged to none.
func (d *database) charge(next *runfolder.Block) error {
	if d == nil || d.unknown != nil {
		return nil
	}
	now, err := subject.DatabaseCPU(d)
	if err != nil {
		return err
	}
	if d.user != nil {
		if d.user.DatabaseCPU == nil {
			d.user.DatabaseCPU = new(time.Duration)
		}
		*d.user.DatabaseCPU += max(0, now-d.lastCPU)
	}
	d.user, d.lastCPU = next, now
	return nil
}
