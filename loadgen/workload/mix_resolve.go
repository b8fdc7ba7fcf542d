package workload

import "slices"

// resolve finds for every variable the request whose answer it is taken from, so
// that a worker always knows what to send.
func (r *mixReader) resolve() error {
	for _, s := range slices.Concat(r.mix.setup, r.mix.requests) {
		s.readsJSON = readsJSON(s.check, s.captures)
		s.readsBody = s.readsJSON || len(s.check.contains) > 0
	}
	if err := r.resolveSetup(); err != nil {
		return err
	}
	r.mix.takenBy = make([]*step, len(r.variables))
	for i, v := range r.variables {
		if v.inSetup {
			continue
		}
		r.mix.takenBy[i] = r.taker(i)
		if r.mix.takenBy[i] == nil && v.needed != nil {
			return r.errorf(v.needed, "nothing captures %s before it is needed here", v.name)
		}
	}
	for i, v := range r.variables {
		if v.needed != nil && r.circular(i, nil) {
			return r.errorf(v.needed, "%s cannot be had: a request that captures it needs it", v.name)
		}
	}
	return nil
}

// resolveSetup checks that requests of the setup need only what the ones before
// them have taken.
func (r *mixReader) resolveSetup() error {
	have := make([]bool, len(r.variables))
	for _, s := range r.mix.setup {
		for _, i := range s.needs {
			if v := r.variables[i]; !have[i] {
				return r.errorf(v.needed, "nothing captures %s before it is needed here", v.name)
			}
		}
		for _, c := range s.captures {
			have[c.variable] = true
		}
	}
	return nil
}

// taker returns the first request that takes a variable and does not need it, or
// nil.
func (r *mixReader) taker(variable int) *step {
	i := slices.IndexFunc(r.mix.requests, func(s *step) bool {
		takes := slices.ContainsFunc(s.captures, func(c capture) bool { return c.variable == variable })
		return takes && !slices.Contains(s.needs, variable)
	})
	if i < 0 {
		return nil
	}
	return r.mix.requests[i]
}

// circular reports whether taking a variable needs one of those on the way to it.
func (r *mixReader) circular(variable int, way []int) bool {
	if slices.Contains(way, variable) {
		return true
	}
	taker := r.mix.takenBy[variable]
	return taker != nil && slices.ContainsFunc(taker.needs, func(needed int) bool {
		return r.circular(needed, append(way, variable))
	})
}
