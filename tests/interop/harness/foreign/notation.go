// notation's own reader of signature envelopes: MEDIA-TYPE ENVELOPE CERTIFICATE. It prints what was signed, as JSON, if
// the signature is valid and made under this certificate, and else fails with what was wrong.
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/notaryproject/notation-core-go/signature"
	_ "github.com/notaryproject/notation-core-go/signature/jws"
)

func main() {
	if err := read(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(mediaType, envelopeFile, certificateFile string) error {
	trusted, err := certificates(certificateFile)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(envelopeFile)
	if err != nil {
		return err
	}
	envelope, err := signature.ParseEnvelope(mediaType, data)
	if err != nil {
		return err
	}
	content, err := envelope.Verify()
	if err != nil {
		return err
	}
	if _, err := signature.VerifyAuthenticity(&content.SignerInfo, trusted); err != nil {
		return err
	}
	attributes := content.SignerInfo.SignedAttributes
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"payload":       json.RawMessage(content.Payload.Content),
		"contentType":   content.Payload.ContentType,
		"signingScheme": attributes.SigningScheme,
		"signingTime":   attributes.SigningTime,
		"expiry":        attributes.Expiry,
		"signingAgent":  content.SignerInfo.UnsignedAttributes.SigningAgent,
	})
}

func certificates(file string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("no PEM in %s", file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	return []*x509.Certificate{certificate}, err
}
