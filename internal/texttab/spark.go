package texttab

// Bar is a block character as high as v stands between low and high.
func Bar(v, low, high float64) rune {
	levels := []rune("▁▂▃▄▅▆▇█")
	if high == low {
		return levels[len(levels)/2]
	}
	return levels[int((v-low)/(high-low)*float64(len(levels)-1)+0.5)]
}

// Sparkline is a curve of at most so many characters, from the least of its
// values to the largest. Each character is the mean of as many values as it has
// to stand for.
func Sparkline(values []float64, most int) string {
	n := min(most, len(values))
	means := make([]float64, n)
	for i := range means {
		bucket := values[i*len(values)/n : (i+1)*len(values)/n]
		for _, v := range bucket {
			means[i] += v / float64(len(bucket))
		}
	}
	if n == 0 {
		return ""
	}
	low, high := means[0], means[0]
	for _, m := range means {
		low, high = min(low, m), max(high, m)
	}
	line := make([]rune, n)
	for i, m := range means {
		line[i] = Bar(m, low, high)
	}
	return string(line)
}
