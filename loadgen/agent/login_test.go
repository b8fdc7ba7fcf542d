package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// authority is a certificate authority that nobody else trusts.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}}
	a.file, _, a.key = a.issue(t, a.cert)
	return a
}

// server makes a certificate for 127.0.0.1, and its key.
func (a *authority) server(t *testing.T) (certFile, keyFile string) {
	certFile, keyFile, _ = a.issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	return certFile, keyFile
}

// issue signs a certificate: with its own key if there is no other yet.
func (a *authority) issue(t *testing.T, cert *x509.Certificate) (certFile, keyFile string, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := a.key
	if signer == nil {
		signer = key
	}
	signed, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", signed), writePEM(t, "PRIVATE KEY", secret), key
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	return write(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// write writes a file that is gone after the test.
func write(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// busWith starts a NATS server that is not the recorder's own.
func busWith(t *testing.T, o server.Options) *Server {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not listen")
	}
	return &Server{Login: Login{URL: s.ClientURL()}, server: s}
}

// newKey makes an nkey.
func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string, seed []byte) {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	if seed, err = pair.Seed(); err != nil {
		t.Fatal(err)
	}
	return pair, public, seed
}

// tlsBus is a server that speaks TLS, and knows a token.
func tlsBus(t *testing.T) (s *Server, outsiders map[string]Login) {
	t.Helper()
	own, other := newAuthority(t), newAuthority(t)
	certFile, keyFile := own.server(t)
	s, err := StartServer("127.0.0.1:0", "token", certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.CA = own.file
	plain := "nats" + strings.TrimPrefix(s.URL, "tls")
	return s, map[string]Login{
		"certificate":                       {URL: s.URL, Token: "token"},
		"certificate signed by":             {URL: s.URL, Token: "token", CA: other.file},
		"certificate, asked without TLS":    {URL: plain, Token: "token"},
		"Authorization Violation":           {URL: s.URL, Token: "wrong", CA: own.file},
		"Authorization Violation, no token": {URL: s.URL, CA: own.file},
	}
}

// nkeyBus is a server that knows the public key of one user.
func nkeyBus(t *testing.T) (s *Server, outsiders map[string]Login) {
	t.Helper()
	_, public, seed := newKey(t, nkeys.CreateUser)
	_, _, stranger := newKey(t, nkeys.CreateUser)
	s = busWith(t, server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}})
	s.Creds = write(t, seed)
	return s, map[string]Login{
		"Authorization Violation":          {URL: s.URL, Creds: write(t, stranger)},
		"Authorization Violation, no nkey": {URL: s.URL, Token: "token"},
	}
}

// credentialsBus is a server that trusts an operator, whose account has one user.
func credentialsBus(t *testing.T) (s *Server, outsiders map[string]Login) {
	t.Helper()
	operator, trusted, _ := newKey(t, nkeys.CreateOperator)
	account, id, _ := newKey(t, nkeys.CreateAccount)
	claims, err := jwt.NewAccountClaims(id).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(id, claims); err != nil {
		t.Fatal(err)
	}
	s = busWith(t, server.Options{TrustedKeys: []string{trusted}, AccountResolver: resolver})
	s.Creds = credentialsOf(t, account)
	stranger, _, _ := newKey(t, nkeys.CreateAccount) // that the operator does not know
	return s, map[string]Login{
		"Authorization Violation":                 {URL: s.URL, Creds: credentialsOf(t, stranger)},
		"Authorization Violation, no credentials": {URL: s.URL},
		"credentials for NATS":                    {URL: s.URL, Creds: s.Creds + "-none"},
	}
}

// credentialsOf writes the credentials of a new user of an account.
func credentialsOf(t *testing.T, account nkeys.KeyPair) string {
	t.Helper()
	_, id, seed := newKey(t, nkeys.CreateUser)
	token, err := jwt.NewUserClaims(id).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, text)
}

// TestLogins: recorder and agent work together over NATS with TLS, with an nkey and with
// credentials, and whoever lacks them is told why he is not let in.
func TestLogins(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (*Server, map[string]Login){
		"tls": tlsBus, "nkey": nkeyBus, "creds": credentialsBus,
	} {
		t.Run(name, func(t *testing.T) {
			s, outsiders := start(t)
			startAgent(t, s, options("a"), time.Now())
			f := gather(t, s, 1)
			server, served := counted(t)
			w := home(t)
			g := f.NewGenerator(server, w, loadOf(w, 1, 0), Trust{}, 1)
			defer g.Close()
			if r := g.Warmup(t.Context(), 10); r.Lost != nil || r.Ops() != 10 || served.Load() != 10 {
				t.Errorf("%d requests, %d served, lost: %v", r.Ops(), served.Load(), r.Lost)
			}
			for want, l := range outsiders {
				want, _, _ = strings.Cut(want, ",")
				for _, patient := range []bool{false, true} {
					if said := refusal(l, patient); !strings.Contains(said, want) {
						t.Errorf("%+v, patient %v: %q, want %q", l, patient, said, want)
					}
				}
			}
		})
	}
}

// refusal is what somebody is told who is not let in: at once, or again and again.
func refusal(l Login, patient bool) string {
	said := make(chan string, 1)
	nc, err := l.Connect("outsider", patient, func(text string) {
		select {
		case said <- text:
		default: // the first is enough
		}
	})
	if err != nil {
		return err.Error()
	}
	defer nc.Close()
	if !patient {
		return "let in"
	}
	return <-said
}
