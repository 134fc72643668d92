package gitlabapi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"

	"gitlab.com/registry-gc/registry-gc/gitlabapi/throttle"
)

const (
	// uploadPack is the service of Git that lists references, and packs what they name.
	uploadPack        = "git-upload-pack"
	advertisementType = "application/x-git-upload-pack-advertisement"

	// maxPacket is the length of the longest packet, with the digits that say it.
	maxPacket = 65520
)

// errFlush is the packet that ends a section.
var errFlush = errors.New("a flush packet")

// readPacket reads one packet of Git's protocol: four hexadecimal digits that say how long it is,
// themselves included, and what it says.
func readPacket(r io.Reader, buffer []byte) ([]byte, error) {
	head := buffer[:4]
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, errTruncated
	}
	length, err := strconv.ParseUint(string(head), 16, 16)
	switch {
	case err != nil || length > maxPacket:
		return nil, errNoPacket
	case length == 0:
		return nil, errFlush
	case length <= 4:
		return nil, errNoPacket
	}
	packet := buffer[:length-4]
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, errTruncated
	}
	return bytes.TrimSuffix(packet, []byte("\n")), nil
}

var (
	errTruncated = &throttle.FormatError{Problem: "Git's list of references ends too early"}
	errNoPacket  = &throttle.FormatError{Problem: "Git's list of references has a packet that is none"}
)

// readAdvertisement reads what a server says, in version 0 of Git's protocol, before a fetch, and
// returns the names of its branches and tags. Only a list that ends as it must is one. Errors do
// not quote the server, which may repeat what it was sent.
func readAdvertisement(r io.Reader) ([]string, error) {
	buffer := make([]byte, maxPacket)
	packet, err := readPacket(r, buffer)
	if err == nil && string(packet) != "# service="+uploadPack || err == errFlush {
		err = &throttle.FormatError{Problem: "the answer does not begin as Git's do"}
	}
	if err != nil {
		return nil, err
	}
	if _, err := readPacket(r, buffer); err != errFlush {
		return nil, &throttle.FormatError{Problem: "Git's answer has no list of references where it must be"}
	}
	var names []string
	for number := 0; ; number++ {
		packet, err := readPacket(r, buffer)
		if err == errFlush {
			break
		}
		if err != nil {
			return nil, err
		}
		name, err := readReference(string(packet), number == 0)
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	if n, _ := io.ReadFull(r, buffer[:1]); n > 0 {
		return nil, &throttle.FormatError{Problem: "Git's list of references goes on after its end"}
	}
	return names, nil
}

// readReference reads a line of the list: an object, and the reference that names it, after
// which the first says what the server can do. It returns the name of a branch or a tag, and ""
// for anything else that may stand there: HEAD, references of merge requests, what an
// annotated tag leads to, and the mark of a list without any.
func readReference(line string, first bool) (string, error) {
	line, _, hasCapabilities := strings.Cut(line, "\x00")
	object, reference, ok := strings.Cut(line, " ")
	switch {
	case object == "ERR":
		return "", &throttle.FormatError{Problem: "Git's server says that it failed"}
	case object == "shallow" && !first && !hasCapabilities && isObject(reference):
		return "", nil
	case !ok || !isObject(object) || hasCapabilities != first || !isReference(reference):
		return "", &throttle.FormatError{Problem: "Git's list of references has a line that is none"}
	case strings.HasSuffix(reference, "^{}"):
		return "", nil
	}
	for _, kind := range []string{"refs/heads/", "refs/tags/"} {
		if name, found := strings.CutPrefix(reference, kind); found {
			return name, nil
		}
	}
	return "", nil
}

// isObject reports whether a text names an object, by SHA-1 or SHA-256.
func isObject(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && (len(text) == 40 || len(text) == 64)
}

// isReference reports whether a text can be the name of a reference, as far as it matters here.
func isReference(text string) bool {
	return text != "" && !strings.HasSuffix(text, "/") && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
