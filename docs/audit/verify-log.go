// verify-log verifies a whole audit log of Keyledger with the packages of the
// Go team's checksum database, golang.org/x/mod/sumdb. It uses no code of
// Keyledger. docs/audit.md says how to run it.
//
//	verify-log URL ORGANIZATION VKEY [EARLIER-CHECKPOINT]
//
// The key of the API is in KEYLEDGER_API_KEY. The checkpoint goes to standard
// output: keep it, and give it as EARLIER-CHECKPOINT the next time.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// A tile of C2SP tlog-tiles has 2^8 hashes, and an entry bundle as many entries.
	height = 8
	width  = 1 << height
	// An entry has at most 65,535 bytes after its length of two bytes.
	maxBytes = width * (2 + 65535)
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 && len(os.Args) != 5 {
		log.Fatal("usage: verify-log URL ORGANIZATION VKEY [EARLIER-CHECKPOINT]")
	}
	server := &server{url: os.Args[1], organization: os.Args[2]}
	verifier, err := note.NewVerifier(os.Args[3])
	check(err)

	signed, err := server.get("/tlog/" + server.organization + "/checkpoint")
	check(err)
	tree, err := openCheckpoint(signed, verifier)
	check(err)
	check(verifyEntries(server, tree))
	if len(os.Args) == 5 {
		kept, err := os.ReadFile(os.Args[4])
		check(err)
		earlier, err := openCheckpoint(kept, verifier)
		check(err)
		check(verifyConsistency(server, earlier, tree))
	}
	log.Printf("%s: all %d entries are as they were signed", verifier.Name(), tree.N)
	os.Stdout.Write(signed)
}

func check(err error) {
	if err != nil {
		log.Fatal("NOT VERIFIED: ", err)
	}
}

// openCheckpoint verifies the signature of a checkpoint, and that it is one of the log that the key belongs to.
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("the size of the checkpoint is %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// verifyEntries computes the tree of all entries, and compares its root with the signed one and its tiles with those of
// the server. It does not use tlog.TileHashReader, which before version 0.40 of golang.org/x/mod accepts some wrong tiles
// (CVE-2026-56865).
func verifyEntries(server *server, tree tlog.Tree) error {
	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for n, index := range indexes {
			found[n] = stored[index]
		}
		return found, nil
	})
	for first := int64(0); first < tree.N; first += width {
		bundle := tlog.Tile{H: height, L: -1, N: first / width, W: int(min(width, tree.N-first))}
		entries, err := server.entries(bundle)
		if err != nil {
			return fmt.Errorf("entries %d to %d: %w", first, first+int64(bundle.W)-1, err)
		}
		leaves, err := server.hashes(tlog.Tile{H: height, L: 0, N: bundle.N, W: bundle.W})
		if err != nil {
			return err
		}
		for n, entry := range entries {
			if tlog.RecordHash(entry) != leaves[n] {
				return fmt.Errorf("entry %d does not have its leaf hash", first+int64(n))
			}
			more, err := tlog.StoredHashes(first+int64(n), entry, hashes)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
		}
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return fmt.Errorf("the entries have the root %v, and %v was signed", root, tree.Hash)
	}
	if tree.N == 0 {
		return nil
	}
	for _, tile := range tlog.NewTiles(height, 0, tree.N) {
		if tile.L == 0 {
			continue
		}
		computed, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return err
		}
		data, err := server.get(server.pathOf(tile))
		if err != nil {
			return err
		}
		if !bytes.Equal(data, computed) {
			return fmt.Errorf("%s does not follow from the entries", server.pathOf(tile))
		}
	}
	return verifyInclusion(server, tree, tree.N/2)
}

// verifyInclusion verifies the server's own proof of one entry, as those who do not read the whole log do.
func verifyInclusion(server *server, tree tlog.Tree, index int64) error {
	var proven struct {
		LeafHash tlog.Hash        `json:"leaf_hash"`
		Proof    tlog.RecordProof `json:"proof"`
	}
	path := fmt.Sprintf("/api/v1/audit/events/%d/proof?organization_id=%s&size=%d", index, server.organization, tree.N)
	if err := server.getJSON(path, &proven); err != nil {
		return err
	}
	if err := tlog.CheckRecord(proven.Proof, tree.N, tree.Hash, index, proven.LeafHash); err != nil {
		return fmt.Errorf("the inclusion proof of entry %d: %w", index, err)
	}
	return nil
}

// verifyConsistency verifies that the log begins with all entries of an earlier checkpoint.
func verifyConsistency(server *server, earlier, later tlog.Tree) error {
	if earlier.N == 0 {
		return nil
	}
	if earlier.N > later.N {
		return fmt.Errorf("the log had %d entries, and now has %d", earlier.N, later.N)
	}
	var proven struct {
		Proof tlog.TreeProof `json:"proof"`
	}
	path := fmt.Sprintf("/api/v1/audit/consistency?organization_id=%s&from=%d&to=%d", server.organization, earlier.N, later.N)
	if err := server.getJSON(path, &proven); err != nil {
		return err
	}
	if err := tlog.CheckTree(proven.Proof, later.N, later.Hash, earlier.N, earlier.Hash); err != nil {
		return fmt.Errorf("the log does not continue its first %d entries: %w", earlier.N, err)
	}
	return nil
}

// entriesIn splits an entry bundle of C2SP tlog-tiles: each entry is after its length as two bytes.
func entriesIn(bundle []byte) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(bundle[0])<<8+int(bundle[1]) {
			return nil, io.ErrUnexpectedEOF
		}
		end := 2 + int(bundle[0])<<8 + int(bundle[1])
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	return entries, nil
}

// server reads an audit log.
type server struct {
	url, organization string
}

// pathOf maps the path of a tile from the checksum database, tile/<height>/<level>/<index> with the level "data" for
// entries, to the one of C2SP tlog-tiles, which has no height and calls the level "entries".
func (s *server) pathOf(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if tile.L == -1 {
		rest = "entries" + strings.TrimPrefix(rest, "data")
	}
	return "/tlog/" + s.organization + "/tile/" + rest
}

func (s *server) entries(tile tlog.Tile) ([][]byte, error) {
	data, err := s.get(s.pathOf(tile))
	if err != nil {
		return nil, err
	}
	entries, err := entriesIn(data)
	if err == nil && len(entries) != tile.W {
		err = fmt.Errorf("there are %d entries instead of %d", len(entries), tile.W)
	}
	return entries, err
}

func (s *server) hashes(tile tlog.Tile) ([]tlog.Hash, error) {
	data, err := s.get(s.pathOf(tile))
	if err != nil {
		return nil, err
	}
	if len(data) != tile.W*tlog.HashSize {
		return nil, fmt.Errorf("%s has %d bytes", s.pathOf(tile), len(data))
	}
	hashes := make([]tlog.Hash, tile.W)
	for n := range hashes {
		copy(hashes[n][:], data[n*tlog.HashSize:])
	}
	return hashes, nil
}

func (s *server) get(path string) ([]byte, error) {
	request, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-API-Key", os.Getenv("KEYLEDGER_API_KEY"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBytes))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, response.Status, body)
	}
	return body, err
}

func (s *server) getJSON(path string, value interface{}) error {
	body, err := s.get(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, value)
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}
