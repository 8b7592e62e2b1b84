# A gateway asks in this way. The status is the decision, and the use is recorded before it arrives.
curl -i "http://127.0.0.1:3000/authz?scope=triggers:read" -H "X-API-Key: $API_KEY"
