//go:build unix && !linux

package host

func (s *Survey) probe(string) {
	why := errElsewhere.Error()
	s.ProcessClock, s.ProcessFiles, s.PerfEvents, s.QuotaError = why, why, why, why
}
