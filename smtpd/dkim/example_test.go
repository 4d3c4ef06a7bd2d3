package dkim_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/plexor-go/plexor/proto/smtp"
	"github.com/plexor-go/plexor/proto/smtp/queue"
	"github.com/plexor-go/plexor/smtpd/dkim"
)

// A relay that signs what authors of example.org send, by two keys.
func Example() {
	var keys []dkim.Key
	for _, selector := range []string{"rsa2026", "ed2026"} {
		key, err := dkim.LoadKey("example.org", selector, "/etc/mail/"+selector+".pem")
		if err != nil {
			log.Fatal(err) // it says what to do
		}
		name, value, err := key.Record()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s. IN TXT %q\n", name, value) // for the zone of example.org
		keys = append(keys, key)
	}
	signer, err := dkim.New(dkim.Options{}, keys...)
	if err != nil {
		log.Fatal(err)
	}
	q, err := queue.Open("/var/spool/relay", queue.Options{Name: "relay.example.org", Sign: signer.Sign})
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	from, err := smtp.ParseMailbox("joe@example.org")
	if err != nil {
		log.Fatal(err)
	}
	message := "From: joe@example.org\r\nSubject: hello\r\n\r\nIt is signed.\r\n"
	id, err := q.Submit(queue.Envelope{From: from, To: []smtp.Recipient{{Mailbox: from}}}, strings.NewReader(message))
	fmt.Println(id, err)
}
