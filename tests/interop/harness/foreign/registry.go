// The registry of go-containerregistry, which keeps everything in its memory, with its referrers API switched on
// (the commands that come with the library leave it off). Its one argument is the address to listen on.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	log.Fatal(http.ListenAndServe(os.Args[1], registry.New(registry.WithReferrersSupport(true))))
}
