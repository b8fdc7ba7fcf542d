//go:build linux && !race

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

const smallHistory = "../../compare/history/testdata/history.jsonl"

// testHistoryPage holds that the page of a history is silent, draws its
// runs, and fits a desktop and a phone in both themes.
func testHistoryPage(t *testing.T, started context.Context) {
	path := filepath.Join(t.TempDir(), "history.html")
	cmd := exec.CommandContext(t.Context(), "eventobench", "history", "--format=html", "--out="+path, smallHistory)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	b := openPage(t, started, path)
	if n := evaluate[int](b, `document.querySelectorAll("svg.curve circle").length`); n != 5*60 {
		t.Errorf("%d points, want 60 of 5 metrics", n)
	}
	if n := evaluate[int](b, `document.querySelectorAll("svg.curve g.band").length`); n != 3 {
		t.Errorf("%d bands, want 3 changes", n)
	}
	paper := `getComputedStyle(document.body).backgroundColor`
	for _, s := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 800}, {"phone", 375, 812}} {
		b.do(chromedp.EmulateViewport(s.width, s.height))
		for _, open := range []string{"true", "false"} {
			evaluate[bool](b, `(document.querySelector("details").open = `+open+`, true)`)
			if wide := evaluate[string](b, tooWide); wide != "" {
				t.Errorf("wider than a %s: %s", s.name, wide)
			}
		}
		for _, theme := range []string{"light", "dark"} {
			photographHistory(b, s.name+"-"+theme)
			before := evaluate[string](b, paper)
			b.click("#theme")
			b.wait(paper + ` !== "` + before + `"`)
		}
	}
}

func photographHistory(b *browser, name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.check(err)
	b.check(os.WriteFile(filepath.Join(*screenshots, "history-"+name+".png"), picture, 0o644))
}
