//go:build realregistry

package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
	"gitlab.com/registry-gc/registry-gc/pipeline"
	"gitlab.com/registry-gc/registry-gc/pipeline/plan"
)

// TestUndoAtRealRegistry pushes every kind of manifest that there are fixtures of to a real registry that
// deletes by tag, deletes the tags and takes that back: all are there again, byte for byte.
func TestUndoAtRealRegistry(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	reg := realRegistry{t, *registryURL}
	pushed := make(map[string]string)
	deletions := new(pipeline.Deletions)
	for _, folder := range []string{"gitlabtest/testdata/buildkit", "manifest/testdata/odd"} {
		files, err := filepath.Glob("../gitlabapi/" + folder + "/*.json")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", folder, err)
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			text, mediaType := reg.pushFixture("undo/"+name, file)
			if text == "" {
				continue // a config or an answer
			}
			reg.send("PUT", "/v2/undo/"+name+"/manifests/tag", mediaType, text, http.StatusCreated)
			if got := reg.send("GET", "/v2/undo/"+name+"/manifests/tag", "", "", http.StatusOK); got != text {
				t.Fatalf("%s: the registry gives other bytes than it was given", name)
			}
			pushed[name] = text
			deletions.Add(plan.Record{Event: plan.Deleted, Entry: plan.Entry{Repository: "undo/" + name, Tag: "tag", Digest: sumOf(text)}})
			reg.send("DELETE", "/v2/undo/"+name+"/manifests/tag", "", "", http.StatusAccepted)
			reg.send("GET", "/v2/undo/"+name+"/manifests/tag", "", "", http.StatusNotFound)
		}
	}
	client, err := gitlabapi.New(gitlabapi.Config{URL: reg.url, Token: throttle.NewSecret("none"), Concurrency: 4, Transport: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []pipeline.UndoOutcome{pipeline.Restored, pipeline.ThereAlready} {
		restored := make(map[manifest.Kind]int)
		err = pipeline.Undo(t.Context(), client, deletions.Select(nil, nil), pipeline.UndoOptions{Workers: 4, RegistryURL: reg.url}, func(r pipeline.Restoration) error {
			name := strings.TrimPrefix(r.Repository, "undo/")
			if r.Outcome != want {
				t.Errorf("%s: %s, %v; want %s", name, r.Outcome, r.Err, want)
			} else if got := reg.send("GET", "/v2/"+r.Repository+"/manifests/tag", "", "", http.StatusOK); got != pushed[name] {
				t.Errorf("%s came back as something else", name)
			}
			kind, _ := manifest.Classify(mediaTypeOf(pushed[name]), []byte(pushed[name]))
			restored[kind.Kind]++
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %d manifests, by kind %v", want, len(pushed), restored)
	}
}

// A realRegistry wants no token.
type realRegistry struct {
	t   *testing.T
	url string
}

// send sends a request, wants a status and returns the body of the answer.
func (r realRegistry) send(method, path, mediaType, body string, want int) string {
	r.t.Helper()
	text, _ := r.answer(method, r.url+path, mediaType, body, want)
	return text
}

func (r realRegistry) answer(method, address, mediaType, body string, want int) (string, *http.Response) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header["Accept"] = []string{manifest.TypeOCIIndex, manifest.TypeOCIManifest, manifest.TypeDockerList, manifest.TypeDockerManifest}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		r.t.Fatalf("%s %s: %s, %v: %s", method, address, resp.Status, err, text)
	}
	return string(text), resp
}

// pushBlob pushes a blob and returns its digest.
func (r realRegistry) pushBlob(repository, content string) string {
	r.t.Helper()
	_, started := r.answer("POST", r.url+"/v2/"+repository+"/blobs/uploads/", "", "", http.StatusAccepted)
	at, err := started.Location()
	if err != nil {
		r.t.Fatal(err)
	}
	query := at.Query()
	query.Set("digest", sumOf(content))
	at.RawQuery = query.Encode()
	r.answer("PUT", at.String(), "application/octet-stream", content, http.StatusCreated)
	return sumOf(content)
}

// pushFixture pushes what the manifest in a file refers to, and returns it with the digests of that: what
// it referred to when it was recorded was not kept. It returns "" where there is no manifest in the file.
func (r realRegistry) pushFixture(repository, file string) (text, mediaType string) {
	r.t.Helper()
	recorded, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	type descriptor struct{ MediaType, Digest string }
	var document struct {
		SchemaVersion     int
		Config, Subject   *descriptor
		Layers, Manifests []descriptor
	}
	if json.Unmarshal(recorded, &document) != nil || document.SchemaVersion != 2 {
		return "", ""
	}
	all := slices.Concat(document.Layers, document.Manifests)
	for _, one := range []*descriptor{document.Config, document.Subject} {
		if one != nil {
			all = append(all, *one)
		}
	}
	text = string(recorded)
	for i, d := range all {
		content := fmt.Sprintf("%s %d", url.PathEscape(repository), i)
		digest := ""
		if manifest.IsType(d.MediaType) {
			child := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
				manifest.TypeOCIManifest, r.pushBlob(repository, content), len(content))
			digest = sumOf(child)
			r.send("PUT", "/v2/"+repository+"/manifests/"+digest, manifest.TypeOCIManifest, child, http.StatusCreated)
		} else {
			digest = r.pushBlob(repository, content)
		}
		text = strings.ReplaceAll(text, d.Digest, digest)
	}
	return text, mediaTypeOf(text)
}

// mediaTypeOf returns the media type of a manifest, which OCI's need not say themselves.
func mediaTypeOf(text string) string {
	var document struct {
		MediaType string
		Manifests []any
	}
	_ = json.Unmarshal([]byte(text), &document) // it was read before
	switch {
	case document.MediaType != "":
		return document.MediaType
	case document.Manifests != nil:
		return manifest.TypeOCIIndex
	default:
		return manifest.TypeOCIManifest
	}
}
