package report

import "strconv"

// ending returns a path cut to at most n characters, from the front: what comes last
// says most.
func ending(path string, n int) string {
	runes := []rune(path)
	if len(runes) <= n {
		return path
	}
	return "…" + string(runes[len(runes)-n+1:])
}

// number writes thousands apart.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// tags counts them in words.
func tags(n int) string {
	if n == 1 {
		return "1 tag"
	}
	return number(n) + " tags"
}
