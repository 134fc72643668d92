package gitlabtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// errCut is what a client sees of a connection that is cut.
var errCut = errors.New("gitlabtest: connection cut: unexpected EOF")

// Transport returns a round tripper that serves requests in this process,
// without a network, as a bubble of testing/synctest needs it.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	served := r.Clone(r.Context())
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	w := &memoryWriter{header: http.Header{}}
	done := make(chan bool, 1)
	go func() {
		// The server goes on with what it has begun when the client has given up.
		cut := w.serve(t.server, served)
		if r.Body != nil {
			_ = r.Body.Close()
		}
		done <- cut
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case cut := <-done:
		switch {
		case r.Context().Err() != nil:
			return nil, r.Context().Err()
		case cut && w.status == 0:
			return nil, errCut
		}
		return w.response(r, cut), nil
	}
}

// memoryWriter is a ResponseWriter that keeps what it is given.
type memoryWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *memoryWriter) Header() http.Header         { return w.header }
func (w *memoryWriter) WriteHeader(status int)      { w.status = status }
func (w *memoryWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// serve says whether the handler cut the connection.
func (w *memoryWriter) serve(h http.Handler, r *http.Request) (cut bool) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			cut = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

func (w *memoryWriter) response(r *http.Request, cut bool) *http.Response {
	var body io.Reader = &w.body
	length := int64(w.body.Len())
	if cut {
		body, length = io.MultiReader(&w.body, broken{}), -1
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(body), ContentLength: length, Request: r,
	}
}

// broken is the rest of a body after the cut.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
