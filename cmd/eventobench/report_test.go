//go:build linux && !race

package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/eventobench/eventobench/internal/testlong"
)

var screenshots = flag.String("screenshots", "", "folder to write pictures of the report into")

// writeReport renders the recorded report of the story's three transports.
func writeReport(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	cmd := exec.CommandContext(t.Context(), "eventobench", "compare",
		"--from="+filepath.Join(recordedFolders, "three.json.gz"), "--format=html", "--out="+path)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// browser is a page in headless Chromium whose network is off.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string // all but for the page itself
}

// startBrowser starts one for all pages of a test, unless there is none here.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skipf("pages are not tried in a browser: %v (apt-get install chromium)", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// openPage opens a file in a tab of its own. The test fails if the page writes to
// the console or asks for anything but itself.
func openPage(t *testing.T, started context.Context, path string) *browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(started)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	b.watchConsole()
	url := "file://" + path
	b.check(chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok && e.Request.URL != url {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.requests = append(b.requests, e.Request.URL)
		}
	}))
	_, err := chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: true, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	b.check(err)
	b.do(chromedp.Navigate(url))
	return b
}

// watchConsole collects what the page says until the test ends.
func (b *browser) watchConsole() {
	messages := chromedp.Console(b.ctx)
	var said []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return // the browser is gone
			}
			said = append(said, m.String())
		}
	}()
	b.t.Cleanup(func() {
		_ = chromedp.Cancel(b.ctx) // ends the messages
		<-done
		if len(said) > 0 || len(b.requests) > 0 {
			b.t.Errorf("the page said %q and asked for %q", said, b.requests)
		}
	})
}

func (b *browser) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.check(chromedp.Do(b.ctx, actions...))
}

// wait waits until an expression of JavaScript is true.
func (b *browser) wait(expression string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("Boolean("+expression+")")); err != nil {
		b.t.Fatalf("waiting for %s: %v", expression, err)
	}
}

func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *browser) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// choose picks an option of a select element, as a user would.
func (b *browser) choose(id, value string) {
	b.t.Helper()
	evaluate[bool](b, `(() => { const s = document.getElementById("`+id+`"); s.value = "`+value+`"; return s.dispatchEvent(new Event("change")); })()`)
}

const (
	zoomedFrame = `document.querySelector("#flame-path [aria-current]").textContent`
	drawnFrames = `document.querySelectorAll("#flame-graph .frame").length`
)

func TestInBrowser(t *testing.T) {
	started := startBrowser(t)
	t.Run("report", func(t *testing.T) { testReportPage(t, started) })
	t.Run("history", func(t *testing.T) { testHistoryPage(t, started) })
}

func testReportPage(t *testing.T, started context.Context) {
	path := writeReport(t)
	if info, err := os.Stat(path); err != nil || info.Size() > 2<<20 {
		t.Errorf("%v: %v", info, err)
	}
	b := openPage(t, started, path)
	t.Run("charts", b.testCharts)
	t.Run("keyboard", b.testKeyboard)
	t.Run("search", b.testSearch)
	t.Run("sorting", b.testSorting)
	t.Run("theme", b.testTheme)
	t.Run("screens", b.testScreens)
	if testlong.On() {
		t.Run("zoom", b.testZoom)
		t.Run("all calls", b.testCalls)
		t.Run("views", b.testViews)
	}
}

// in makes a browser's helpers fail the given test.
func (b *browser) in(t *testing.T) *browser { return &browser{t: t, ctx: b.ctx} }

// testCharts counts the pixels of every canvas that something is drawn on.
func (b *browser) testCharts(t *testing.T) {
	b = b.in(t)
	b.wait(`document.querySelectorAll(".chart canvas").length === 3`)
	b.wait(`[...document.querySelectorAll(".chart canvas")].every(c =>
		c.getContext("2d").getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 0).length > 2000)`)
	if n := evaluate[int](b, `document.querySelectorAll("table.forest circle.point").length`); n < 15 {
		t.Errorf("%d points in the forest plots", n)
	}
	if n := evaluate[int](b, `document.querySelectorAll(".bars rect").length`); n != 18 {
		t.Errorf("%d bars, want 6 metrics of 3 variants", n)
	}
}

// frame is the selector of the widest frame of a level that is no whole row.
func (b *browser) frame(level string) string {
	b.t.Helper()
	return `.frame[data-frame="` + evaluate[string](b, `[...document.querySelectorAll('.frame[aria-level="`+level+`"]')]
		.sort((a, b) => b.clientWidth - a.clientWidth)[0].dataset.frame`) + `"]`
}

func (b *browser) testZoom(t *testing.T) {
	b = b.in(t)
	b.wait(drawnFrames + " > 20")
	selector := b.frame("2")
	name := evaluate[string](b, `document.querySelector('`+selector+`').textContent`)
	b.click(selector)
	b.wait(`document.querySelector('` + selector + `').style.width === "100%"`)
	if got := evaluate[string](b, zoomedFrame); !strings.HasSuffix(name, got) {
		t.Errorf("clicked %q, zoomed to %q", name, got)
	}
	b.click("#flame-path button") // the total
	b.wait(zoomedFrame + ` === "total"`)
	b.click(selector)
	b.wait(zoomedFrame + ` !== "total"`)
	b.click("#flame-reset")
	b.wait(zoomedFrame + ` === "total"`)
}

// testCalls shows the store's core, which each transport calls in its own way,
// side by side.
func (b *browser) testCalls(t *testing.T) {
	b = b.in(t)
	b.choose("flame-profile", "1") // allocated bytes
	b.click(`.frame[aria-label*="server.(*Core).Serve:"]`)
	b.wait(zoomedFrame + ` === "server.(*Core).Serve"`)
	b.click("#flame-calls")
	b.wait(`document.getElementById("flame-path").textContent === "all calls of server.(*Core).Serve"`)
	both := `document.querySelectorAll(".frame:not(.gone)").length`
	if n := evaluate[int](b, both); n < 5 {
		t.Errorf("%d frames that are not gone", n)
	}
	b.wait(`!document.querySelector('.frame[data-frame="0"]').textContent.startsWith("+")`)
	b.click("#flame-reset")
	b.wait(zoomedFrame + ` === "total"`)
	b.choose("flame-profile", "0")
}

func (b *browser) testKeyboard(t *testing.T) {
	b = b.in(t)
	focused := `document.activeElement.dataset.frame`
	evaluate[bool](b, `(document.querySelector('.frame[tabindex="0"]').focus(), true)`)
	b.keys(kb.ArrowDown)
	b.wait(focused + ` === "1"`)
	b.keys(kb.ArrowRight)
	b.wait(focused + ` !== "1"`)
	b.keys(kb.ArrowLeft, kb.Enter)
	b.wait(zoomedFrame + ` !== "total" && document.activeElement.style.width === "100%"`)
	b.keys(kb.ArrowDown, kb.Enter, kb.Escape)
	b.wait(`document.querySelector('.frame[data-frame="1"]').style.width === "100%"`)
	b.keys(kb.Escape)
	b.wait(zoomedFrame + ` === "total"`)
	if name := evaluate[string](b, `document.activeElement.getAttribute("aria-label")`); !strings.Contains(name, "us/op") {
		t.Errorf("the focused frame is called %q", name)
	}
}

func (b *browser) testSearch(t *testing.T) {
	b = b.in(t)
	matched := `document.getElementById("flame-matched").textContent`
	b.choose("flame-profile", "1") // allocated bytes
	b.do(chromedp.Focus(chromedp.ID("flame-search")))
	b.keys(`^net/(http|textproto)\.`)
	b.wait(matched + `.includes("frames match: nethttp ")`)
	b.wait(`document.querySelectorAll(".frame.match").length > 0`)
	if got := evaluate[string](b, matched); !strings.Contains(got, "fasthttp 0 B/op, change −") {
		t.Errorf("fasthttp has no net/http: %q", got)
	}
	all := `(document.getElementById("flame-search").select(), true)`
	evaluate[bool](b, all)
	b.keys("(*conn") // no regular expression, so it is text
	b.wait(matched + `.includes("frames match") && ` + matched + `.includes("nethttp")`)
	evaluate[bool](b, all)
	b.keys(kb.Backspace)
	b.wait(matched + ` === "" && document.querySelectorAll(".frame.match").length === 0`)
}

// testViews holds that the absolute view shows the total of the profile, the
// relative one shares, and that what is gone can be left out.
func (b *browser) testViews(t *testing.T) {
	b = b.in(t)
	detail := `document.getElementById("flame-detail").textContent`
	b.choose("flame-profile", "2")
	b.wait(detail + `.startsWith("total: nethttp ") && ` + detail + `.includes("allocs/op")`)
	gone := `document.querySelectorAll(".frame.gone").length`
	b.wait(gone + " > 0")
	b.click("#flame-gone")
	b.wait(gone + " === 0")
	b.click("#flame-gone")
	b.click(`input[name=flame-view][value=relative]`)
	b.wait(`document.querySelector('.frame[data-frame="0"]').getAttribute("aria-label") === "total: nethttp 100.00%, fasthttp 100.00%; change ±0.00%"`)
	b.choose("flame-head", "2")
	b.wait(`document.querySelector('.frame[data-frame="0"]').getAttribute("aria-label").includes("fasthttp-adapter 100.00%")`)
	b.click(`input[name=flame-view][value=absolute]`)
	b.choose("flame-head", "1")
}

func (b *browser) testSorting(t *testing.T) {
	b = b.in(t)
	evaluate[bool](b, `(document.querySelector("#profile-allocs table.sortable:last-of-type thead th:nth-child(2) button").focus(), true)`)
	column := `[...document.activeElement.closest("table").tBodies[0].rows].map(r => Number(r.cells[1].dataset.sort))`
	b.keys(kb.Enter)
	b.wait(`document.activeElement.closest("th").ariaSort === "descending" && ` + column + `.every((v, i, all) => !i || v <= all[i - 1])`)
	b.keys(kb.Enter)
	b.wait(`document.activeElement.closest("th").ariaSort === "ascending" && ` + column + `.every((v, i, all) => !i || v >= all[i - 1])`)
}

// contrast is the lowest contrast of text with its background among all frames
// of the flame graph, by WCAG 2.
const contrast = `(() => {
	const light = color => {
		const [r, g, b] = color.match(/[\d.]+/g).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	return Math.min(...[...document.querySelectorAll(".frame")].map(f => {
		const style = getComputedStyle(f), [a, b] = [light(style.color), light(style.backgroundColor)];
		return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	}));
})()`

func (b *browser) testTheme(t *testing.T) {
	b = b.in(t)
	paper := `getComputedStyle(document.body).backgroundColor`
	picture := `document.querySelector("#chart-ops canvas").toDataURL()`
	lightPaper, lightPicture := evaluate[string](b, paper), evaluate[string](b, picture)
	for _, theme := range []string{"light", "dark"} {
		if got := evaluate[float64](b, contrast); got < 4.5 {
			t.Errorf("contrast %.1f of a frame in the %s theme, want at least 4.5", got, theme)
		}
		b.click("#theme")
	}
	b.wait(paper + ` === "` + lightPaper + `"`)
	b.click("#theme")
	b.wait(`document.getElementById("theme").ariaPressed === "true" && ` + paper + ` !== "` + lightPaper + `"`)
	b.wait(picture + ` !== "` + lightPicture + `"`)
	b.click("#theme")
	b.wait(picture + ` === "` + lightPicture + `"`)
}

// testScreens holds that the page fits a desktop and a phone, and takes
// pictures of it if asked to.
func (b *browser) testScreens(t *testing.T) {
	b = b.in(t)
	for _, s := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 620}, {"phone", 375, 812}} {
		b.do(chromedp.EmulateViewport(s.width, s.height))
		b.wait(`document.querySelector("#chart-ops .uplot").clientWidth <= innerWidth`)
		if wide := evaluate[string](b, tooWide); wide != "" {
			t.Errorf("wider than a %s: %s", s.name, wide)
		}
		for _, theme := range []string{"light", "dark"} {
			b.photograph(s.name + "-" + theme)
			b.click("#theme")
		}
	}
}

// tooWide names the elements that reach beyond the screen, but for those that
// scroll by themselves.
const tooWide = `document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("body *")]
	.filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll, pre, .flame"))
	.map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).join("; ")`

// photograph writes pictures of the first screen, of the flame graph and of
// the whole page.
func (b *browser) photograph(name string) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	evaluate[bool](b, `(scrollTo(0, 0), document.activeElement.blur(), true)`)
	for what, action := range map[string]chromedp.Action[[]byte]{
		"top":    chromedp.CaptureScreenshot(),
		"flames": chromedp.Screenshot(chromedp.ID("flame")),
		"page":   wholePage,
	} {
		picture, err := chromedp.Run(b.ctx, action)
		b.check(err)
		b.check(os.WriteFile(filepath.Join(*screenshots, "report-"+what+"-"+name+".png"), picture, 0o644))
	}
}

func wholePage(ctx context.Context, _ *chromedp.Target) ([]byte, error) {
	beyond := true
	size, err := chromedp.Call(ctx, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	r, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &beyond,
		Clip:                  &page.Viewport{Width: size.CSSContentSize.Width, Height: size.CSSContentSize.Height, Scale: 1},
	})
	return r.Data, err
}
