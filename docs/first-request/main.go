// KEYLEDGER_SERVICE_KEY=sk_… go run main.go
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

const keyledger = "http://127.0.0.1:3000"

type apiKeyOf struct{}

// APIKey says whose key a request has.
type APIKey struct {
	ID             string `json:"id"`
	OrganizationID string `json:"organization_id"`
}

type verification struct {
	Valid  bool   `json:"valid"`
	Code   string `json:"code"`
	APIKey APIKey `json:"api_key"`
}

var client = &http.Client{Timeout: 5 * time.Second}

// requireScope lets a request pass if Keyledger accepts its key for the scope.
func requireScope(scope string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-API-Key")
		if key == "" {
			refuse(w, http.StatusUnauthorized, "unauthenticated")
			return
		}
		if len(key) > 500 {
			refuse(w, http.StatusUnauthorized, "invalid_key")
			return
		}
		result, err := verify(key, scope, r)
		if err != nil { // Without a decision no request passes.
			refuse(w, http.StatusServiceUnavailable, "verification_unavailable")
			return
		}
		if !result.Valid {
			refuse(w, statusOf(result.Code), result.Code)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), apiKeyOf{}, result.APIKey)))
	}
}

// verify asks Keyledger, which records the use before it responds.
func verify(key, scope string, r *http.Request) (result verification, err error) {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	question, err := json.Marshal(map[string]any{
		"key":    key,
		"scopes": []string{scope},
		"request": map[string]string{
			"method": r.Method, "path": first(r.URL.Path, 2000), "ip": ip, "user_agent": first(r.UserAgent(), 500),
		},
	})
	if err != nil {
		return result, err
	}
	request, err := http.NewRequest(http.MethodPost, keyledger+"/api/v1/api-keys/verify", bytes.NewReader(question))
	if err != nil {
		return result, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", os.Getenv("KEYLEDGER_SERVICE_KEY"))
	response, err := client.Do(request)
	if err != nil {
		return result, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return result, fmt.Errorf("Keyledger responds with %s", response.Status)
	}
	err = json.NewDecoder(response.Body).Decode(&result)
	return result, err
}

func first(text string, length int) string {
	if len(text) > length {
		return text[:length]
	}
	return text
}

func statusOf(code string) int {
	switch code {
	case "invalid_key", "revoked", "expired", "disabled":
		return http.StatusUnauthorized
	case "insufficient_credits":
		return http.StatusPaymentRequired
	case "rate_limited":
		return http.StatusTooManyRequests
	}
	return http.StatusForbidden
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code})
}

func main() {
	http.HandleFunc("/", requireScope("triggers:read", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"hello": r.Context().Value(apiKeyOf{}).(APIKey).OrganizationID})
	}))
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
