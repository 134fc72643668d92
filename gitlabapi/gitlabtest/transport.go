package gitlabtest

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
)

// errCut is what a client sees of a connection that is cut.
var errCut = errors.New("gitlabtest: connection cut: unexpected EOF")

// Transport returns a round tripper that serves requests in this process,
// without a network, as a bubble of testing/synctest needs it.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	served := r.Clone(r.Context())
	served.Host = cmp.Or(served.Host, r.URL.Host)
	if served.Body == nil {
		served.Body = http.NoBody
	}
	if err := r.Context().Err(); err != nil {
		_ = served.Body.Close()
		return nil, err
	}
	answers := make(chan *http.Response, 1)
	go func() {
		// The server goes on with what it has begun when the client has given up.
		answer := serve(t.server, served)
		_ = served.Body.Close()
		answers <- answer
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case answer := <-answers:
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if answer == nil {
			return nil, errCut
		}
		answer.Request = r
		return answer, nil
	}
}

// serve returns the answer, whose body breaks off where the handler cut the connection;
// nil if it did so before there was one.
func serve(h http.Handler, r *http.Request) (answer *http.Response) {
	recorder := httptest.NewRecorder()
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
		switch {
		case p == nil:
			answer = recorder.Result()
		case recorder.Flushed:
			answer = recorder.Result()
			answer.Body, answer.ContentLength = io.NopCloser(io.MultiReader(recorder.Body, broken{})), -1
		}
	}()
	h.ServeHTTP(recorder, r)
	return nil
}

// broken is the rest of a body after the cut.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
