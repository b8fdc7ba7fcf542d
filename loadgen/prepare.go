package loadgen

import (
	"context"
	"fmt"
	"time"
)

// Preparer is a Source that has requests to send before the first one that counts,
// such as a login.
type Preparer interface {
	Source
	// Prepare fills in the next of these requests. It returns false if none is left.
	// Complete answers are given to Check, with a kind of -1. Each call of
	// Driver.Warmup and Slice begins by preparing every worker; one whose request
	// failed sends nothing else then.
	Prepare(req *Request) (ok bool)
}

// Capturer is a Source whose requests have values in them that it takes from answers.
type Capturer interface {
	Source
	// Presume has it go on as if it had taken all values: under Load.Unchecked no answer
	// has any. It is called before anything else.
	Presume()
}

// prepare sends what the source wants to be sent before anything else. That is
// neither counted nor measured; whether it fails is (Result.Setup).
func (w *worker) prepare(ctx context.Context) error {
	p, ok := w.source.(Preparer)
	for ok && !w.unchecked && p.Prepare(&w.req) {
		err := w.exchange(ctx, time.Now().Add(w.timeout))
		if err != nil {
			w.link.fail()
			return fmt.Errorf("setup: %w", newExchangeError(&w.req, err))
		}
		err = w.source.Check(-1, &w.answer)
		if err != nil {
			return fmt.Errorf("setup: %w", newAnswerError(&w.req, &w.answer, err))
		}
	}
	return nil
}
