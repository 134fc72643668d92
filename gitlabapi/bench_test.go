package gitlabapi

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkGateWithoutLimit is what every request pays for the gate.
func BenchmarkGateWithoutLimit(b *testing.B) {
	g := newGate(0, 1, math.MaxInt)
	b.ReportAllocs()
	for b.Loop() {
		if err := g.wait(b.Context(), reads); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGateShared has all processors at one gate.
func BenchmarkGateShared(b *testing.B) {
	g := newGate(0, 1, math.MaxInt)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := g.wait(b.Context(), reads); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkGateAndBack is all that a request costs at the gate, to where its answer has
// told what is left of a limit.
func BenchmarkGateAndBack(b *testing.B) {
	g := newGate(1, math.MaxInt32, math.MaxInt)
	resp := reply(nil, 200, "", "RateLimit-Name", "api", "RateLimit-Limit", "2000", "RateLimit-Remaining", "1990",
		"RateLimit-Reset", "4000000000", "Date", "Tue, 02 Oct 2096 07:06:00 GMT")
	b.ReportAllocs()
	for b.Loop() {
		if err := g.wait(b.Context(), reads); err != nil {
			b.Fatal(err)
		}
		g.leave(reads, time.Now(), resp)
	}
}

// BenchmarkPageOfTags reads one page of 100 tags, without a network.
func BenchmarkPageOfTags(b *testing.B) {
	items := make([]string, pageSize)
	for i := range items {
		items[i] = fmt.Sprintf(`{"name":"v1.0.%[1]d","path":"group/app/web:v1.0.%[1]d","location":"registry.example/group/app/web:v1.0.%[1]d"}`, i)
	}
	body := "[" + strings.Join(items, ",") + "]"
	network := wire(func(req *http.Request) (*http.Response, error) {
		return reply(req, 200, body, "X-Total", "100", "X-Next-Page", ""), nil
	})
	c := newTestClient(b, network, Config{})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if tags, err := c.Tags(b.Context(), somewhere); err != nil || len(tags) != pageSize {
			b.Fatal(len(tags), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pageSize, "ns/tag")
}

// BenchmarkPageOfProjects reads one page of 100 projects that GraphQL gives, without a
// network.
func BenchmarkPageOfProjects(b *testing.B) {
	k := knowing(pageSize)
	answer := mustMarshal(b, k.data(&query{Query: countField + " " + userField, Variables: struct {
		First int
		After string
		IDs   []string
	}{First: pageSize}}))
	c := newTestClient(b, answering(200, answer), Config{})
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		for page, err := range c.ProjectPages(b.Context(), true) {
			if err != nil || len(page) != pageSize {
				b.Fatal(len(page), err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pageSize, "ns/project")
}

// BenchmarkNextLink reads the header of a numbered page as GitLab sends it.
func BenchmarkNextLink(b *testing.B) {
	const list = "https://gitlab.example/api/v4/projects/1/registry/repositories/2/tags?id=1&repository_id=2&per_page=100&page="
	header := []string{fmt.Sprintf(`<%[1]s1>; rel="prev", <%[1]s3>; rel="next", <%[1]s1>; rel="first", <%[1]s9>; rel="last"`, list)}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := nextLink(header); !ok {
			b.Fatal("not found")
		}
	}
}

// BenchmarkPageOfRows decodes a full page of the registry's own list.
func BenchmarkPageOfRows(b *testing.B) {
	var page strings.Builder
	for i := range RegistryPageSize {
		fmt.Fprintf(&page, `,{"name":"feature-%05d","digest":%q,"config_digest":%q,"media_type":%q,"size_bytes":%d,`+
			`"created_at":"2026-11-01T10:00:00.000Z","updated_at":"2026-11-02T10:00:00.000Z","published_at":"2026-11-02T10:00:00.000Z"}`,
			i, digestOf(i), digestOf(i+1), typeOCIManifest, 1000+i)
	}
	body := []byte("[" + page.String()[1:] + "]")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if rows, err := decodeTagRows(make(map[string]string), body); err != nil || len(rows) != RegistryPageSize {
			b.Fatal(len(rows), err)
		}
	}
}

// BenchmarkClassify tells the kind of what BuildKit pushed.
func BenchmarkClassify(b *testing.B) {
	for _, name := range []string{"image-oci-manifest.json", "image-provenance-index.json", "cache-oci-manifest.json"} {
		text := fixture(b, name)
		contentType := fixtureType(b, text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Classify(contentType, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
