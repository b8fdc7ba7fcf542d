package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/server"
)

// client talks to a running event store.
type client struct{ url, token string }

func (c *client) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.url, "url", "http://127.0.0.1:8080", "address of the event store")
	cmd.Flags().StringVar(&c.token, "token", "", "token of the namespace")
}

// post sends a body and returns the answer of a store that accepts it.
func (c *client) post(ctx context.Context, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.url, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("the address of the event store: %w", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling the event store: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return nil, fmt.Errorf("the event store at %s answered %s: %s", c.url, resp.Status, text)
	}
	return resp.Body, nil
}

func newExportCmd() *cobra.Command {
	var c client
	var categories []string
	var out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the messages of a running event store as lines of JSON",
		Long: `Export reads a namespace of a running event store and writes one line of JSON per
message, by global position. "eventobench import" reads them.

Exit codes: 0 all written; 2 the store or the file failed, and there is no file.`,
		Example: `  eventobench export --token=$TOKEN --out=events.ndjson
  eventobench export --url=http://127.0.0.1:8080 --token=$TOKEN --category=account,order | gzip > events.ndjson.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return writeOutput(cmd, out, func(w io.Writer) error { return c.export(cmd, w, categories) })
		},
	}
	c.addFlags(cmd)
	cmd.Flags().StringSliceVar(&categories, "category", nil, "only messages of this category; repeatable")
	cmd.Flags().StringVar(&out, "out", "", "file to write to, instead of stdout")
	return cmd
}

// row is a message as category.get gives it.
type row struct {
	id, stream, kind, position, globalPosition, data, metadata, time json.RawMessage
}

func (r *row) UnmarshalJSON(text []byte) error {
	var columns []json.RawMessage
	if err := json.Unmarshal(text, &columns); err != nil {
		return err
	}
	if len(columns) != 8 {
		return fmt.Errorf("a message has %d columns, want 8", len(columns))
	}
	*r = row{columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6], columns[7]}
	return nil
}

// export pages through the namespace. The rows of several categories are picked
// out of all, so that they come in the order of their global positions.
func (c *client) export(cmd *cobra.Command, w io.Writer, categories []string) error {
	category := ""
	if len(categories) == 1 {
		category = categories[0]
	}
	lines := bufio.NewWriter(w)
	progress := newCounter(cmd.ErrOrStderr(), "exported")
	for position := int64(1); ; position++ {
		count := 0
		err := c.page(cmd.Context(), category, position, func(r row) (err error) {
			count++
			position, err = r.export(lines, categories)
			return err
		})
		if err != nil {
			return fmt.Errorf("exporting from global position %d: %w", position, err)
		}
		if count == 0 {
			progress.done()
			return lines.Flush()
		}
		progress.add(count)
	}
}

// page yields the messages from a position on, as many as the store answers
// with by default. It holds one at a time: a thousand may be large.
func (c *client) page(ctx context.Context, category string, position int64, yield func(row) error) error {
	call, err := json.Marshal([]any{"category.get", category, map[string]int64{"position": position}})
	if err != nil {
		return err
	}
	body, err := c.post(ctx, "/rpc", bytes.NewReader(call))
	if err != nil {
		return err
	}
	defer body.Close()
	rows := json.NewDecoder(body)
	if _, err := rows.Token(); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	for rows.More() {
		var r row
		if err := rows.Decode(&r); err != nil {
			return fmt.Errorf("reading a message: %w", err)
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	if _, err := rows.Token(); err != nil {
		return fmt.Errorf("reading the end of the answer: %w", err)
	}
	return nil
}

// export writes the row as a line if it is of one of the categories, and
// returns its global position.
func (r row) export(w io.Writer, categories []string) (position int64, err error) {
	var stream string
	if err := errors.Join(json.Unmarshal(r.stream, &stream), json.Unmarshal(r.globalPosition, &position)); err != nil {
		return 0, err
	}
	if len(categories) > 0 && !slices.Contains(categories, server.Category(stream)) {
		return position, nil
	}
	_, err = fmt.Fprintf(w, `{"id":%s,"stream":%s,"type":%s,"pos":%s,"gpos":%s,"data":%s,"meta":%s,"time":%s}`+"\n",
		r.id, r.stream, r.kind, r.position, r.globalPosition, r.data, r.metadata, r.time)
	return position, err
}

func newImportCmd() *cobra.Command {
	var c client
	var force bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import lines of JSON into a running event store",
		Long: `Import sends the lines that "eventobench export" wrote to a running event store,
which keeps ids, positions and times. FILE may be - for stdin. It must be UTF-8
without a byte order mark. Lines are imported in batches of 1000; at the first bad
one the import ends, names it, and what was imported before stays. With --force
the lines replace all messages of the namespace, in one step at the end: a bad
line then leaves it as it was.

Exit codes: 0 all imported; 2 the store, the file or a line failed.`,
		Example: `  eventobench import --token=$TOKEN events.ndjson
  gunzip < events.ndjson.gz | eventobench import --token=$TOKEN --force -`,
		Args: needs(1, 1, "one file, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := c.importFile(cmd, args[0], force)
			if err != nil {
				return fmt.Errorf("importing %s: %w", args[0], err)
			}
			return nil
		},
	}
	c.addFlags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "replace all messages of the namespace")
	return cmd
}

// importFile imports the lines of a file, or of stdin if its name is "-".
func (c *client) importFile(cmd *cobra.Command, name string, force bool) error {
	if name == "-" {
		return c.importLines(cmd, cmd.InOrStdin(), force)
	}
	f, err := os.Open(name)
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err // the name is told already
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return c.importLines(cmd, f, force)
}

func (c *client) importLines(cmd *cobra.Command, lines io.Reader, force bool) error {
	// The reader is wrapped: a body of a known type would be sent with its length,
	// and closed by the client.
	body, err := c.post(cmd.Context(), fmt.Sprintf("/import?force=%t", force), struct{ io.Reader }{lines})
	if err != nil {
		return err
	}
	defer body.Close()
	progress := newCounter(cmd.ErrOrStderr(), "imported")
	frames := bufio.NewReader(body)
	for {
		frame, err := readFrame(frames)
		if err != nil {
			return err
		}
		if frame.Error != "" {
			return frame.failure()
		}
		progress.set(frame.Imported)
		if frame.Done {
			progress.done()
			return nil
		}
	}
}

// importFrame is what the store sends while it imports.
type importFrame struct {
	Imported       int
	Done           bool
	Error, Message string
	Line           int // 0 if the error is not that of a line
}

// readFrame reads the next frame. It may be of any length: an error repeats the
// name of the stream.
func readFrame(frames *bufio.Reader) (frame importFrame, err error) {
	for {
		line, err := frames.ReadString('\n')
		if err == io.EOF {
			return frame, errors.New("the event store ended the answer before it was done")
		}
		if err != nil {
			return frame, fmt.Errorf("reading the progress: %w", err)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(data), &frame); err != nil {
			return frame, fmt.Errorf("reading the progress: %w", err)
		}
		return frame, nil
	}
}

func (f *importFrame) failure() error {
	if f.Line == 0 {
		return fmt.Errorf("%s: %s", f.Error, f.Message)
	}
	return fmt.Errorf("line %d: %s: %s", f.Line, f.Error, f.Message)
}

// counter shows a rising number of messages: on a terminal as it rises,
// elsewhere at the end.
type counter struct {
	progress
	verb  string
	count int
}

func newCounter(w io.Writer, verb string) *counter {
	return &counter{progress: *newProgress(w), verb: verb}
}

func (c *counter) add(n int) { c.set(c.count + n) }

func (c *counter) set(n int) {
	c.count = n
	if c.terminal >= 0 {
		c.line(c.String())
	}
}

func (c *counter) done() {
	c.clear()
	fmt.Fprintln(c.w, c.String())
}

func (c *counter) String() string { return fmt.Sprintf("%s %d messages", c.verb, c.count) }
