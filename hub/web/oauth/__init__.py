"""The authorization server: logins from terminals, and short tokens for services. Authlib's rules, our accounts."""
