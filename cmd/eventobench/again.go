package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"mvdan.cc/sh/v3/syntax"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// givenFlag is a flag as it was given on the command line.
type givenFlag struct {
	name   string
	values []string
}

// givenFlags are those that have been set so far.
func givenFlags(f *pflag.FlagSet) []givenFlag {
	var all []givenFlag
	f.Visit(func(flag *pflag.Flag) {
		given := givenFlag{flag.Name, []string{flag.Value.String()}}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			given.values = list.GetSlice()
		}
		all = append(all, given)
	})
	return all
}

// checkUseless returns an error if a flag was given that has no effect, and says when.
func checkUseless(given []givenFlag, when string, useful func(name string) bool) error {
	for _, flag := range given {
		if !useful(flag.name) {
			return fmt.Errorf("--%s has no effect %s; leave it out", flag.name, when)
		}
	}
	return nil
}

// notRepeated are the flags of a gate that say what becomes of its result, and
// those for which the programs stand that it kept.
var notRepeated = []string{
	"base", "head", "build", "start", "format", "report", "write", "programs", "record", "repository", "out", "inconclusive",
	"layouts", "nats-token",
}

// againCommand is the command line that gates two subjects again, in a folder that
// has the programs, and whatever else the folder had in which they were kept.
func againCommand(dir string, subjects []subject.Target, given []givenFlag) string {
	words := []string{"eventobench", "gate"}
	for i, side := range []string{"base", "head"} {
		e := subjects[i].(subject.Exec)
		words = append(words, "--"+side+"="+againSpec(e))
		if slices.Contains(e.Env, portVariable) {
			words = append(words, "--env="+e.Name+":"+portVariable)
		}
	}
	for _, flag := range given {
		if slices.Contains(notRepeated, flag.name) {
			continue
		}
		for _, value := range flag.values {
			if file, inside := strings.CutPrefix(value, dir+"/"); inside {
				value = "./" + file
			}
			words = append(words, "--"+flag.name+"="+value)
		}
	}
	for i, word := range words {
		words[i] = quoted(word)
	}
	return strings.Join(words, " ")
}

// againSpec is the specification of a subject whose program is in the working
// directory, under its name.
func againSpec(e subject.Exec) string {
	program := "./" + e.Name
	if isStore(e) {
		spec := e.Name + "=" + subject.KindBuiltin + ":transport=" + e.Options["transport"]
		for _, name := range slices.Sorted(maps.Keys(e.Options)) {
			if name != "transport" {
				spec += "," + name + "=" + e.Options[name]
			}
		}
		return spec + ",binary=" + program
	}
	var words []string
	for _, word := range e.Command {
		words = append(words, quoted(strings.ReplaceAll(word, e.Program, program)))
	}
	return e.Name + "=" + subject.KindExec + ":" + strings.Join(words, " ")
}

// plainWord is one that a shell, and SplitCommand, leave as it is.
var plainWord = regexp.MustCompile(`^([A-Za-z0-9_./:=,@%+-]|\{[a-z0-9]+\})+$`)

// quoted is a word as a shell wants it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	text, err := syntax.Quote(word, syntax.LangPOSIX)
	if err != nil { // what no POSIX shell can take, such as a line break, is told by Go's quotes
		return fmt.Sprintf("%q", word)
	}
	return text
}

// keepPrograms copies the programs of subjects that were built into a folder, each
// under the name of its subject.
func keepPrograms(dir string, subjects []subject.Target) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keeping programs: %w", err)
	}
	for _, s := range subjects {
		e, ok := s.(subject.Exec)
		if !ok || e.Program == "" {
			return fmt.Errorf("--programs: %v is neither a go: nor a git: subject, "+
				"so no program was built that could be kept", s)
		}
		if err := copyProgram(filepath.Join(dir, e.Name), e.Program); err != nil {
			return fmt.Errorf("keeping the program of %v: %w", s, err)
		}
	}
	return nil
}

func copyProgram(to, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	err = runfolder.WriteFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
	return errors.Join(err, os.Chmod(to, 0o755))
}
