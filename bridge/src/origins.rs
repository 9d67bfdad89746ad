//! Which pages may connect: the allow-list of origins.

use http::{HeaderMap, Uri, header};

/// Which pages may connect. Requests without an origin are not from pages, and always may (row W1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    allowed: Vec<String>,
    /// Whether pages of this machine may, on any port.
    local: bool,
}

/// Why a list of origins is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is empty outside development.
    #[error("at least one origin is needed, such as \"https://app.example.org\"")]
    Empty,
    /// `*` or `null`.
    #[error("\"{0}\" is no origin that can be allowed: name each one, such as \"https://app.example.org\"")]
    Wildcard(String),
    /// Not a scheme, a host and perhaps a port.
    #[error(
        "\"{0}\" is no origin: scheme, host and perhaps a port, without a path, as \"https://app.example.org\""
    )]
    Malformed(String),
}

impl Origins {
    /// These, and in development those of this machine too.
    pub fn new(allowed: &[String], development: bool) -> Result<Self, OriginError> {
        if allowed.is_empty() && !development {
            return Err(OriginError::Empty);
        }
        let allowed = allowed.iter().map(|origin| parse(origin)).collect::<Result<_, _>>()?;
        Ok(Self { allowed, local: development })
    }

    /// Whether a request with these headers may be served. `own` is the address that the request itself names, whose
    /// pages may where they are served from here.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        // Two of them are a trick.
        let Some(origin) = origin.to_str().ok().filter(|_| origins.next().is_none()) else { return false };
        let Ok(origin) = parse(origin) else { return false };
        self.allowed.contains(&origin) || (self.local && is_local(&origin))
    }
}

/// An origin in the form that browsers send: lower case, no path, no default port.
fn parse(text: &str) -> Result<String, OriginError> {
    if text == "*" || text.eq_ignore_ascii_case("null") {
        return Err(OriginError::Wildcard(text.to_owned()));
    }
    let malformed = || OriginError::Malformed(text.chars().take(100).collect());
    let uri: Uri = text.parse().map_err(|_| malformed())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(malformed());
    };
    let bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
    if !bare
        || authority.as_str().contains('@')
        || authority.host().is_empty()
        || authority.host().contains('*')
    {
        return Err(malformed());
    }
    let host = authority.host().to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    let default = match &*scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    Ok(match authority.port_u16().filter(|port| Some(*port) != default) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

fn is_local(origin: &str) -> bool {
    let host = origin.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.rsplit_once(':').map_or(host, |(host, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { origin }
    });
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asks(origins: &Origins, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_bytes(origin.as_bytes()).unwrap());
        origins.allow(&headers)
    }

    fn list(allowed: &[&str], development: bool) -> Result<Origins, OriginError> {
        Origins::new(&allowed.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>(), development)
    }

    #[test]
    fn only_listed_origins_may_and_those_without_one() {
        let origins = list(&["https://app.example.org", "http://intern.example:8080"], false).unwrap();
        assert!(origins.allow(&HeaderMap::new()));
        for good in [
            "https://app.example.org",
            "https://app.example.org:443",
            "HTTPS://APP.example.org",
            "http://intern.example:8080",
        ] {
            assert!(asks(&origins, good), "{good}");
        }
        for bad in [
            "https://app.example.org.evil.example",
            "https://evil.example",
            "http://app.example.org",
            "https://app.example.org:444",
            "https://app.example.org/",
            "null",
            "",
            "*",
            "http://localhost:3000",
            "https://user@app.example.org",
        ] {
            assert!(!asks(&origins, bad), "{bad}");
        }
        let mut twice = HeaderMap::new();
        twice.append(header::ORIGIN, HeaderValue::from_static("https://app.example.org"));
        twice.append(header::ORIGIN, HeaderValue::from_static("https://app.example.org"));
        assert!(!origins.allow(&twice));
    }

    #[test]
    fn development_lets_pages_of_this_machine_in() {
        let origins = list(&[], true).unwrap();
        for good in
            ["http://localhost", "http://localhost:5173", "http://127.0.0.1:7422", "http://[::1]:7422"]
        {
            assert!(asks(&origins, good), "{good}");
        }
        for bad in [
            "http://localhost.evil.example",
            "http://evil.example",
            "null",
            "http://127.0.0.1.evil.example:80",
        ] {
            assert!(!asks(&origins, bad), "{bad}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_at_the_start() {
        assert_eq!(list(&[], false), Err(OriginError::Empty));
        for bad in ["*", "null"] {
            assert!(matches!(list(&[bad], true), Err(OriginError::Wildcard(_))), "{bad}");
        }
        for bad in [
            "app.example.org",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://*.example.org",
            "https://a/",
        ] {
            assert!(matches!(list(&[bad], false), Err(OriginError::Malformed(_))), "{bad}");
        }
    }
}
