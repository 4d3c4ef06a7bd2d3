package ftpd_test

import (
	"log"
	"os"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/ftpd"
	"github.com/plexor-go/plexor/proto/ftp"
)

// Everybody may read a folder.
func ExampleHandler() {
	root, err := os.OpenRoot("/srv/ftp")
	if err != nil {
		log.Fatal(err)
	}
	users := new(ftp.Accounts)
	users.Anonymous(ftp.Dir(root))
	srv := &plexor.Server{Handler: ftpd.Handler(&ftp.Server{Users: users})}
	log.Fatal(srv.ListenAndServe("tcp://127.0.0.1:2121"))
}
