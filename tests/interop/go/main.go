// Runs the program for Go of docs/guides/verify-elsewhere.md, which the tests put into a package
// beside this file.
//
//	go run . ISSUER AUDIENCE
//
// Takes tokens on standard input, one a line, and answers each with a line of JSON: {"claims": …},
// {"refused": why} or {"unavailable": why}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"

	"example.com/guide/tokensmith"
)

func main() {
	ctx := context.Background()
	verifier, err := tokensmith.NewVerifier(ctx, os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		claims, err := verifier.Verify(ctx, lines.Text())
		answer := map[string]any{}
		switch {
		case err == nil:
			answer["claims"] = claims
		case errors.Is(err, tokensmith.ErrUnavailable):
			answer["unavailable"] = err.Error()
		default:
			answer["refused"] = err.Error()
		}
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
}
