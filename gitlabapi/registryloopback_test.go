package gitlabapi_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gcr "github.com/google/go-containerregistry/pkg/registry"

	"gitlab.com/registry-gc/registry-gc/gitlabapi"
)

// guarded is a registry of another make behind GitLab's way of giving tokens: a token
// is the scope that it was asked for.
func guarded(registry http.Handler, realm func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scope, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer scope-")
		repository := repositoryIn(r.URL.Path)
		if !ok || repository != "" && scope != repository {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="container_registry",scope="repository:%s:pull,push"`, realm(), repository))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			w.Header().Set("Content-Type", "application/json") // which this one leaves out
		}
		registry.ServeHTTP(w, r)
	})
}

// repositoryIn returns the repository that a path is about.
func repositoryIn(path string) string {
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/"} {
		if repository, _, ok := strings.Cut(strings.TrimPrefix(path, "/v2/"), kind); ok {
			return repository
		}
	}
	return ""
}

// jwtAuth gives the tokens.
func jwtAuth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if _, password, _ := r.BasicAuth(); password != "glpat-good" || r.URL.Query().Get("service") != "container_registry" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	scope := strings.TrimSuffix(strings.TrimPrefix(r.URL.Query().Get("scope"), "repository:"), ":pull")
	fmt.Fprintf(w, `{"token":"scope-%s"}`, scope)
}

// fill pushes fixtures as tags of a repository, and a blob.
func fill(t *testing.T, registry http.Handler, repository string, fixtures map[string]string) {
	t.Helper()
	put := func(method, path, contentType string, body []byte) {
		req := httptest.NewRequest(method, path, bytes.NewReader(body))
		req.Header.Set("Content-Type", contentType)
		answer := httptest.NewRecorder()
		registry.ServeHTTP(answer, req)
		if answer.Code != http.StatusCreated {
			t.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
		}
	}
	for tag, name := range fixtures {
		text, err := os.ReadFile(filepath.Join("gitlabtest", "testdata", "buildkit", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if tag == "" {
			digest := fmt.Sprintf("sha256:%x", sha256.Sum256(text))
			put(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+digest, "application/octet-stream", text)
			continue
		}
		put(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, mediaTypeOf(text), text)
	}
}

func mediaTypeOf(manifest []byte) string {
	_, rest, _ := bytes.Cut(manifest, []byte(`"mediaType":`))
	return string(bytes.Split(rest, []byte(`"`))[1])
}

// TestAgainstAnotherRegistry runs the client against a registry that was written by
// others, on loopback, with the instance on another port.
func TestAgainstAnotherRegistry(t *testing.T) {
	registry := gcr.New(gcr.Logger(log.New(io.Discard, "", 0)))
	fill(t, registry, "group/app", map[string]string{"": "image-config-blob", "docker": "image-docker-manifest", "oci": "image-oci-manifest", "cache": "cache-oci-manifest"})
	instance := httptest.NewServer(http.HandlerFunc(jwtAuth))
	defer instance.Close()
	server := httptest.NewServer(guarded(registry, func() string { return instance.URL + "/jwt/auth" }))
	defer server.Close()
	checkAnotherRegistry(t, instance.URL, server.Listener.Addr().String())
}

// TestRegistryAndInstanceUnderOneAddress are told apart by what was asked.
func TestRegistryAndInstanceUnderOneAddress(t *testing.T) {
	registry := gcr.New(gcr.Logger(log.New(io.Discard, "", 0)))
	fill(t, registry, "group/app", map[string]string{"": "image-config-blob", "docker": "image-docker-manifest", "oci": "image-oci-manifest", "cache": "cache-oci-manifest"})
	var server *httptest.Server
	mux := http.NewServeMux()
	mux.HandleFunc("/jwt/auth", jwtAuth)
	mux.Handle("/v2/", guarded(registry, func() string { return server.URL + "/jwt/auth" }))
	server = httptest.NewServer(mux)
	defer server.Close()
	checkAnotherRegistry(t, server.URL, server.URL)
}

func checkAnotherRegistry(t *testing.T, instance, address string) {
	t.Helper()
	c, err := gitlabapi.New(gitlabapi.Config{URL: instance, Token: gitlabapi.NewSecret("glpat-good"), Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Registry(address)
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := r.Tags(t.Context(), "group/app"); err != nil || !slices.Equal(tags, []string{"cache", "docker", "oci"}) {
		t.Errorf("Tags() = %q, %v", tags, err)
	}
	kinds := map[string]gitlabapi.Kind{"docker": gitlabapi.KindImage, "oci": gitlabapi.KindImage, "cache": gitlabapi.KindCacheManifest}
	for tag, kind := range kinds {
		m, err := r.Manifest(t.Context(), "group/app", tag)
		if err != nil || m.Kind != kind {
			t.Errorf("%s is %q, %v; want %q", tag, m.Kind, err, kind)
		}
		if d, err := r.Head(t.Context(), "group/app", tag); err != nil || d.Digest != m.Digest || d.MediaType != m.MediaType {
			t.Errorf("%s: Head() = %+v, %v; want as in %+v", tag, d, err, m)
		}
		if created, err := r.ConfigCreated(t.Context(), "group/app", m.ConfigDigest); kind == gitlabapi.KindImage && (err != nil || created.Year() != 2026) {
			t.Errorf("%s: ConfigCreated() = %v, %v", tag, created, err)
		}
	}
	if _, err := r.Head(t.Context(), "group/app", "gone"); !errors.Is(err, gitlabapi.ErrManifestNotFound) {
		t.Errorf("a tag that is gone: %v", err)
	}
	if _, err := r.Tags(t.Context(), "group/gone"); !errors.Is(err, gitlabapi.ErrRepositoryNotFound) {
		t.Errorf("a repository that is gone: %v", err)
	}
	signs, err := r.Signs(t.Context())
	if err != nil || !signs.InReach || signs.V1 != gitlabapi.RegimeLegacy {
		t.Errorf("Signs() = %+v, %v", signs, err)
	}
	// Three tokens: of group/app, of group/gone, and the one for no repository.
	if s := c.Stats(); s.Requests != 3 || s.RegistryRequests < 10 || s.Retries != 0 {
		t.Errorf("Stats() = %+v", s)
	}
}
