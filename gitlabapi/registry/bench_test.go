package registry

import (
	"fmt"
	"strings"
	"testing"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/manifest"
)

// BenchmarkPageOfRows decodes a full page of the registry's own list.
func BenchmarkPageOfRows(b *testing.B) {
	var page strings.Builder
	for i := range PageSize {
		fmt.Fprintf(&page, `,{"name":"feature-%05d","digest":%q,"config_digest":%q,"media_type":%q,"size_bytes":%d,`+
			`"created_at":"2026-11-01T10:00:00.000Z","updated_at":"2026-11-02T10:00:00.000Z","published_at":"2026-11-02T10:00:00.000Z"}`,
			i, digestOf(i), digestOf(i+1), manifest.TypeOCIManifest, 1000+i)
	}
	body := []byte("[" + page.String()[1:] + "]")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if rows, err := decodeTagRows(make(map[string]string), body); err != nil || len(rows) != PageSize {
			b.Fatal(len(rows), err)
		}
	}
}
