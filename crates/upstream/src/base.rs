//! The base URL of a service, as it is configured, and the address of its WebSocket.

use url::Url;

use crate::wire::is_this_machine;

/// The address of a WebSocket at `path` below `base`; `https` and `http` mean the same as `wss` and
/// `ws`. `None` if it has no host, or a user or a query, or is without TLS and neither on this
/// machine nor allowed.
pub(crate) fn socket_url(base: &Url, path: &str, allow_plain: bool) -> Option<Url> {
    let host = base.host_str()?;
    let is_bare = base.username().is_empty() && base.password().is_none() && base.query().is_none();
    let scheme = match base.scheme() {
        "https" | "wss" => "wss",
        "http" | "ws" if allow_plain || is_this_machine(host) => "ws",
        _ => return None,
    };
    let mut url = base.clone();
    url.set_scheme(scheme).ok().filter(|()| is_bare)?;
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &str, allow_plain: bool) -> Option<String> {
        let base = Url::parse(base).unwrap();
        socket_url(&base, "/v1/listen", allow_plain).map(String::from)
    }

    #[test]
    fn a_path_is_added_below_the_base() {
        let cases = [
            ("wss://api.example", "wss://api.example/v1/listen"),
            ("https://api.example:1/", "wss://api.example:1/v1/listen"),
            (
                "wss://api.example/a/b/#c",
                "wss://api.example/a/b/v1/listen",
            ),
            ("http://[::1]:2", "ws://[::1]:2/v1/listen"),
            ("ws://localhost", "ws://localhost/v1/listen"),
        ];
        for (base, expected) in cases {
            assert_eq!(at(base, false).as_deref(), Some(expected), "{base}");
        }
    }

    #[test]
    fn another_machine_needs_tls_or_leave() {
        assert_eq!(at("ws://api.example", false), None);
        assert_eq!(
            at("ws://api.example", true).as_deref(),
            Some("ws://api.example/v1/listen")
        );
    }

    #[test]
    fn what_is_no_plain_base_is_none() {
        for base in [
            "ftp://api.example",
            "unix:/run/engine",
            "wss://user@api.example",
            "wss://:word@api.example",
            "wss://api.example?model=x",
        ] {
            assert_eq!(at(base, true), None, "{base}");
        }
    }
}
