//! Where a request comes from when proxies passed it on.

use std::net::IpAddr;

use http::HeaderMap;

/// The client's address: the peer's, or what trusted proxies say of it. Of a chain the last that is no trusted proxy
/// counts: what stands before may be made up.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(&peer) {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter();
    let named: Vec<Option<IpAddr>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|entry| entry.trim_ascii().parse().ok())
        .collect();
    for entry in named.into_iter().rev() {
        match entry {
            Some(address) if trusted.contains(&address) => {}
            Some(address) => return address,
            // Nobody knows what comes before.
            None => return peer,
        }
    }
    peer
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn forwarded_addresses_are_believed_of_trusted_proxies_alone() {
        let trusted: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap()).into();
        let address = |peer: &str, forwarded: &str| {
            let forwarded = HeaderValue::from_str(forwarded).unwrap();
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), forwarded)]);
            client_address(&headers, peer.parse().unwrap(), &trusted).to_string()
        };
        assert_eq!(address("192.0.2.9", "198.51.100.1"), "192.0.2.9");
        assert_eq!(address("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(address("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2"), "198.51.100.1");
        assert_eq!(address("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(address("10.0.0.1", "198.51.100.1, nonsense"), "10.0.0.1");
        assert_eq!(address("10.0.0.1", "10.0.0.2"), "10.0.0.1");
        assert_eq!(
            client_address(&HeaderMap::new(), "10.0.0.1".parse().unwrap(), &trusted).to_string(),
            "10.0.0.1"
        );
    }
}
