package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
		Long: `Export reads a namespace of a running event store and writes a line of JSON for
each message, by global position. "eventobench import" reads them.

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
	return json.Unmarshal(text, &[]any{&r.id, &r.stream, &r.kind, &r.position, &r.globalPosition, &r.data, &r.metadata, &r.time})
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
	for position := int64(1); ; {
		rows, err := c.page(cmd.Context(), category, position)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			progress.done()
			return lines.Flush()
		}
		for _, r := range rows {
			if position, err = r.export(lines, categories); err != nil {
				return err
			}
		}
		progress.add(len(rows))
		position++
	}
}

func (c *client) page(ctx context.Context, category string, position int64) (rows []row, err error) {
	call, err := json.Marshal([]any{"category.get", category, map[string]int64{"position": position, "batchSize": 1000}})
	if err != nil {
		return nil, err
	}
	body, err := c.post(ctx, "/rpc", bytes.NewReader(call))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&rows); err != nil {
		return nil, fmt.Errorf("reading messages from global position %d: %w", position, err)
	}
	return rows, nil
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
which keeps ids, positions and times. FILE may be - for stdin. Lines are imported
in batches of 1000; at the first bad one the import ends, and what was imported
before stays. With --force the lines replace all messages of the namespace, in
one step at the end: a bad line then leaves it as it was.

Exit codes: 0 all imported; 2 the store, the file or a line failed.`,
		Example: `  eventobench import --token=$TOKEN events.ndjson
  gunzip < events.ndjson.gz | eventobench import --token=$TOKEN --force -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" {
				return c.importLines(cmd, cmd.InOrStdin(), force)
			}
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("importing: %w", err)
			}
			defer f.Close()
			return c.importLines(cmd, f, force)
		},
	}
	c.addFlags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "replace all messages of the namespace")
	return cmd
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
	frames := bufio.NewScanner(body)
	for frames.Scan() {
		data, ok := strings.CutPrefix(frames.Text(), "data: ")
		if !ok {
			continue
		}
		var frame struct {
			Imported       int
			Done           bool
			Error, Message string
			Line           int
		}
		if err := json.Unmarshal([]byte(data), &frame); err != nil {
			return fmt.Errorf("reading the progress of the import: %w", err)
		}
		switch {
		case frame.Error != "":
			return fmt.Errorf("importing: line %d: %s: %s", frame.Line, frame.Error, frame.Message)
		case frame.Done:
			progress.set(frame.Imported)
			progress.done()
			return nil
		}
		progress.set(frame.Imported)
	}
	return errors.Join(errors.New("importing: the event store ended the answer before it was done"), frames.Err())
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
