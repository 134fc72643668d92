package gitlabtest

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reply answers with a status, a body as it is, and headers given as names and
// values in turn. Without a Content-Type among them it is application/json.
func Reply(status int, body string, header ...string) Effect {
	return answering(func(c *call) *answer {
		for i := 0; i+1 < len(header); i += 2 {
			c.header.Set(header[i], header[i+1])
		}
		return &answer{status: status, body: body}
	})
}

// Status answers with a status and a message in GitLab's form, or in the
// registry's where that is asked.
func Status(status int) Effect {
	return answering(func(c *call) *answer {
		if c.registry {
			return registryFailure(status, codeOf(status), http.StatusText(status), nil)
		}
		return failure(status, http.StatusText(status))
	})
}

// RetryAfter answers with a status, such as 429 or 503, and Retry-After.
func RetryAfter(status, seconds int) Effect {
	return answering(func(c *call) *answer {
		c.header.Set("Retry-After", strconv.Itoa(seconds))
		return &answer{status: status, body: "Retry later\n", contentType: "text/plain"}
	})
}

// RateLimited answers 429 without a word about when to come back, whatever the
// server's own rate limit would say.
func RateLimited() Effect {
	return answering(func(c *call) *answer {
		maps.DeleteFunc(c.header, func(name string, _ []string) bool {
			return strings.HasPrefix(name, "Ratelimit-")
		})
		return retryLater()
	})
}

// Refuse answers as GitLab does when it will not do a thing: 403 or 400.
func Refuse(status int) Effect {
	if status == http.StatusBadRequest {
		return answering(func(*call) *answer { return failure(status, "Bad request") })
	}
	return Status(status)
}

// HTML answers 200 with a sign-in page.
func HTML() Effect {
	const page = "<!DOCTYPE html>\n<html><head><title>Sign in · GitLab</title></head>" +
		"<body><form action=\"/users/sign_in\" method=\"post\"></form></body></html>\n"
	return answering(func(*call) *answer {
		return &answer{status: http.StatusOK, body: page, contentType: "text/html; charset=utf-8"}
	})
}

// Redirect answers 302 to an address.
func Redirect(to string) Effect {
	return answering(func(c *call) *answer {
		c.header.Set("Location", to)
		return &answer{status: http.StatusFound, body: "", contentType: "text/html; charset=utf-8"}
	})
}

// Latency lets the request wait before it is served.
func Latency(d time.Duration) Effect {
	return changing(func(c *call) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.request.Context().Done():
			panic(http.ErrAbortHandler)
		}
	})
}

// Cut closes the connection without an answer.
func Cut() Effect {
	return answering(func(*call) *answer { panic(http.ErrAbortHandler) })
}

// CutBody serves the request and closes the connection in the middle of the
// answer.
func CutBody() Effect {
	return changing(func(c *call) { c.cutBody = true })
}

// CutList serves only the first n items of a list, as if it ended there.
func CutList(n int) Effect {
	return changing(func(c *call) { c.cut = func(int) int { return n } })
}

// CutListTo serves only the first share of a list, as if it ended there.
func CutListTo(share float64) Effect {
	return changing(func(c *call) {
		c.cut = func(total int) int { return int(share * float64(total)) }
	})
}
