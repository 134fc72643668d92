package throttle

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// maxErrorBody is how much is read of an answer that is no success, in bytes.
const maxErrorBody = 64 << 10

// readBody is the body of an answer that has been read, with its bytes still at hand after
// others have consumed it. It also keeps the Link headers, which are taken away from GitLab's
// client: that one splits them unseen and panics on some.
type readBody struct {
	*bytes.Reader
	data  []byte
	links []string
}

// Close implements [io.Closer].
func (*readBody) Close() error { return nil }

// Body returns the body of an answer that a [Client] gave, nil for any other.
func Body(resp *http.Response) []byte {
	if body, ok := resp.Body.(*readBody); ok {
		return body.data
	}
	return nil
}

// buffer replaces the body of an answer by its bytes in memory. The limit is that of a
// success.
func buffer(resp *http.Response, limit int64) error {
	defer resp.Body.Close()
	isError := resp.StatusCode >= http.StatusMultipleChoices
	if isError {
		limit = maxErrorBody
	}
	var body bytes.Buffer
	if 0 < resp.ContentLength && resp.ContentLength <= limit {
		body.Grow(int(min(resp.ContentLength, 1<<20)) + bytes.MinRead) // pages have hundreds of kilobytes
	}
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	data := body.Bytes()
	if int64(len(data)) > limit {
		if !isError {
			return &SizeError{limit}
		}
		data = data[:limit]
	}
	resp.Body = &readBody{bytes.NewReader(data), data, resp.Header.Values("Link")}
	resp.Header.Del("Link")
	return nil
}

// MediaTypes are what may come beside JSON. Pages of HTML are never among them.
type MediaTypes int

// The sets of media types.
const (
	OnlyJSON        MediaTypes = iota
	AnyApplication             // "application/…": manifests have types of their own, some old ones no JSON
	AnythingButHTML            // where a digest tells whether it is the right thing
)

// allow reports whether an answer may have a media type; "" stands for none.
func (m MediaTypes) allow(mediaType string) bool {
	switch {
	case isHTML(mediaType):
		return false
	case mediaType == "application/json", strings.HasSuffix(mediaType, "+json"), mediaType == "", m == AnythingButHTML:
		return true
	default:
		return m == AnyApplication && strings.HasPrefix(mediaType, "application/")
	}
}

// IsHTML reports whether an answer is a page: neither GitLab's API nor a registry sends any.
func IsHTML(resp *http.Response) bool { return isHTML(mediaTypeOf(resp)) }

func mediaTypeOf(resp *http.Response) string {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return mediaType
}

func isHTML(mediaType string) bool {
	return mediaType == "text/html" || mediaType == "application/xhtml+xml"
}

// check refuses an answer out of a cache, and a success that is not the server's: a sign-in
// page, a portal, another program at that address. Of a DELETE it wants no body, only that
// there is no page in it.
func (c *Client) check(req *http.Request, r Request, resp *http.Response) error {
	read := (req.Method == http.MethodGet || req.Method == http.MethodHead) && !isRepeatable(req, resp)
	if age, err := strconv.Atoi(resp.Header.Get("Age")); read && !r.Immutable && err == nil && age > 0 {
		return &FormatError{fmt.Sprintf("a cache between here and the server answered, with a copy that is %d seconds old: "+
			"it must let requests with Cache-Control: no-cache pass", age)}
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	mediaType := mediaTypeOf(resp)
	if !r.Accepts.allow(mediaType) && (req.Method != http.MethodDelete || isHTML(mediaType)) {
		instead, what := "JSON", "a GitLab"
		if r.Server == Registry {
			instead, what = "a registry's", "GitLab's registry"
		}
		variable, _ := r.Server.setting()
		return &FormatError{fmt.Sprintf("the answer is %s instead of %s: is %s the address of %s?",
			c.scrub(req, mediaType), instead, variable, what)}
	}
	wanted := req.Method == http.MethodGet || req.Method == http.MethodPost
	if wanted && string(bytes.TrimSpace(Body(resp))) == "null" {
		return &FormatError{"the answer is null"}
	}
	return nil
}
