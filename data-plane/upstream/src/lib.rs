//! The one outbound connector: exchange, SSRF guard, proxies, TLS, timeouts.
