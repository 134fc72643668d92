package gitlabapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkGateAndBack is all that a request costs at the gate, to where its answer has
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
