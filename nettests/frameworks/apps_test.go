package frameworks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
)

// The same small service, written for each framework as its documentation has it: routes, JSON both ways, middleware,
// static files, streams, events, uploads, panics, a WebSocket by gorilla's Upgrader. Nothing of Plexor's is in them.

// An item is what is sent as JSON.
type item struct {
	Name  string `json:"name" binding:"required"`
	Price int    `json:"price" binding:"gte=0"`
}

// files is a folder to serve.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"hello.txt": "hello from a file", "big.bin": big} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), fileTime, fileTime); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	big      = strings.Repeat("0123456789abcdef", 1<<14) // 256 KiB
	fileTime = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
)

// apps are the services. step lets the events of /step go on, one by one.
var apps = map[string]func(t *testing.T, step <-chan bool) http.Handler{
	"net/http": muxApp, "gin": ginApp, "chi": chiApp, "echo": echoApp}

var upgrader = websocket.Upgrader{EnableCompression: true}

// talk echoes messages until the client closes.
func talk(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer c.Close()
	for {
		kind, m, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, m) != nil {
			return
		}
	}
}

func ginApp(t *testing.T, step <-chan bool) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.RecoveryWithWriter(io.Discard), func(c *gin.Context) {
		c.Header("X-Framework", "gin")
		c.Next()
	})
	r.GET("/users/:name", func(c *gin.Context) { c.String(http.StatusOK, "user %s", c.Param("name")) })
	r.POST("/items", func(c *gin.Context) {
		var in item
		if err := c.ShouldBindJSON(&in); err != nil {
			c.JSON(http.StatusBadRequest, gin.H{"error": "no item"})
			return
		}
		c.JSON(http.StatusCreated, in)
	})
	private := r.Group("/private", gin.BasicAuth(gin.Accounts{"me": "secret"}))
	private.GET("/", func(c *gin.Context) { c.String(http.StatusOK, c.MustGet(gin.AuthUserKey).(string)) })
	r.Static("/files", files(t))
	r.GET("/stream", func(c *gin.Context) {
		n := 0
		c.Stream(func(w io.Writer) bool {
			fmt.Fprintf(w, "piece %d\n", n)
			n++
			return n < 20
		})
	})
	r.GET("/step", func(c *gin.Context) {
		c.Stream(func(io.Writer) bool {
			_, ok := <-step
			if ok {
				c.SSEvent("message", "now")
			}
			return ok
		})
	})
	r.POST("/upload", func(c *gin.Context) {
		f, err := c.FormFile("file")
		if err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		c.String(http.StatusOK, "%s %d", f.Filename, f.Size)
	})
	r.GET("/panic", func(*gin.Context) { panic("on purpose") })
	r.GET("/socket", func(c *gin.Context) { talk(c.Writer, c.Request) })
	r.Any("/body", func(c *gin.Context) {
		b, err := c.GetRawData()
		if err != nil {
			_ = c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		c.DataFromReader(http.StatusOK, int64(len(b)), "application/x-any", bytes.NewReader(b), nil)
	})
	return r
}

func chiApp(t *testing.T, step <-chan bool) http.Handler {
	r := chi.NewRouter()
	r.Use(chimiddleware.GetHead, recoverer, chimiddleware.Compress(5, "application/json"), chimiddleware.CleanPath)
	r.Use(chimiddleware.SetHeader("X-Framework", "chi"))
	r.Get("/users/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %s", chi.URLParam(r, "name"))
	})
	r.Route("/items", func(r chi.Router) {
		r.Use(chimiddleware.AllowContentType("application/json"))
		r.Post("/", postItem)
	})
	r.With(chimiddleware.BasicAuth("private", map[string]string{"me": "secret"})).Get("/private/",
		func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "me") })
	r.Handle("/files/*", http.StripPrefix("/files", http.FileServer(http.Dir(files(t)))))
	r.Mount("/", plain(step))
	return r
}

// postItem takes an item, and answers with it.
func postItem(w http.ResponseWriter, r *http.Request) {
	var in item
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Name == "" {
		http.Error(w, "no item", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(in)
}

// recoverer answers 500 for a panic, without a log.
func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// plain are the routes that chi and the ServeMux have in common: handlers of net/http.
func plain(step <-chan bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		for n := range 20 {
			fmt.Fprintf(w, "piece %d\n", n)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("GET /step", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range step {
			_, _ = io.WriteString(w, "event:message\ndata:now\n\n")
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		_, h, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s %d", h.Filename, h.Size)
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
	mux.HandleFunc("GET /socket", talk)
	mux.HandleFunc("/body", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-any")
		_, _ = w.Write(b)
	})
	return mux
}

func muxApp(t *testing.T, step <-chan bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %s", r.PathValue("name"))
	})
	mux.HandleFunc("POST /items", postItem)
	mux.HandleFunc("GET /private/", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "me")
	})
	mux.Handle("GET /files/", http.StripPrefix("/files", http.FileServer(http.Dir(files(t)))))
	mux.Handle("/", plain(step))
	return recoverer(mux)
}

func echoApp(t *testing.T, step <-chan bool) http.Handler {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(echomiddleware.Recover(), echomiddleware.CORS(), echomiddleware.Gzip())
	e.GET("/users/:name", func(c echo.Context) error { return c.String(http.StatusOK, "user "+c.Param("name")) })
	e.POST("/items", func(c echo.Context) error {
		var in item
		if err := c.Bind(&in); err != nil || in.Name == "" {
			return c.JSON(http.StatusBadRequest, map[string]string{"error": "no item"})
		}
		return c.JSON(http.StatusCreated, in)
	})
	auth := echomiddleware.BasicAuth(func(user, password string, _ echo.Context) (bool, error) {
		return user == "me" && password == "secret", nil
	})
	e.GET("/private/", func(c echo.Context) error { return c.String(http.StatusOK, "me") }, auth)
	e.Static("/files", files(t))
	e.GET("/stream", func(c echo.Context) error {
		for n := range 20 {
			fmt.Fprintf(c.Response(), "piece %d\n", n)
			c.Response().Flush()
		}
		return nil
	})
	e.GET("/step", func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentType, "text/event-stream")
		for range step {
			_, _ = io.WriteString(c.Response(), "event:message\ndata:now\n\n")
			c.Response().Flush()
		}
		return nil
	})
	e.POST("/upload", func(c echo.Context) error {
		f, err := c.FormFile("file")
		if err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		return c.String(http.StatusOK, fmt.Sprintf("%s %d", f.Filename, f.Size))
	})
	e.GET("/panic", func(echo.Context) error { panic(errors.New("on purpose")) })
	e.GET("/socket", func(c echo.Context) error {
		talk(c.Response(), c.Request())
		return nil
	})
	e.Any("/body", func(c echo.Context) error {
		b, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		return c.Stream(http.StatusOK, "application/x-any", bytes.NewReader(b))
	})
	return e
}
