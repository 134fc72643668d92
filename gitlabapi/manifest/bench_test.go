package manifest

import "testing"

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
