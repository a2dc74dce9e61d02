//! What every answer carries: what browsers may do with it, and who may frame it. And the page of every failure.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, Request, header},
    middleware::Next,
    response::Response,
};

use crate::{failure::Failure, page, server::Console, settings::Settings};

/// The headers of this deployment, made once.
pub(crate) fn all(settings: &Settings) -> Vec<(HeaderName, HeaderValue)> {
    let origins = |urls: &[url::Url]| {
        urls.iter().map(|url| format!(" {}", url.origin().ascii_serialization())).collect::<String>()
    };
    let frames = match origins(&settings.frame_ancestors) {
        none if none.is_empty() => " 'none'".to_owned(),
        some => some,
    };
    // A form may lead to the vendor's consent: browsers hold redirects of a form against this list, too.
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'{}; frame-ancestors{frames}; base-uri 'none'",
        origins(&settings.consent_hosts)
    );
    let mut headers = vec![
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // Addresses of pages hold links' secrets: nobody else is told where somebody came from.
        (header::REFERRER_POLICY, "same-origin".to_owned()),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin".to_owned()),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()".to_owned(),
        ),
    ];
    if settings.frame_ancestors.is_empty() {
        headers.push((header::X_FRAME_OPTIONS, "DENY".to_owned()));
        headers.push((HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()));
    }
    if settings.public_url.scheme() == "https" {
        headers.push((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000".to_owned()));
    }
    let made = headers.into_iter().map(|(name, text)| {
        (name, HeaderValue::try_from(text).expect("origins and constants are made of ASCII"))
    });
    made.collect()
}

/// Renders failures, and adds the headers to whatever is answered.
pub(crate) async fn finish(State(console): State<Console>, request: Request<Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().cloned().collect();
        response = page::failure(console.settings(), failure);
        cookies.into_iter().for_each(|cookie| {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        });
    }
    let headers = response.headers_mut();
    for (name, value) in console.headers() {
        headers.insert(name.clone(), value.clone());
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_inline_and_frames_only_where_allowed() {
        let mut settings = Settings {
            public_url: "https://console.example".parse().unwrap(),
            frame_ancestors: Vec::new(),
            consent_hosts: vec!["https://app.productboard.com/x".parse().unwrap()],
            client_address_header: String::new(),
        };
        let text = |settings: &Settings, name: &str| {
            let all = all(settings);
            all.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        let policy = text(&settings, "content-security-policy").unwrap();
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("form-action 'self' https://app.productboard.com;"), "{policy}");
        assert_eq!(text(&settings, "x-frame-options").as_deref(), Some("DENY"));
        settings.frame_ancestors = vec!["https://platform.example/apps".parse().unwrap()];
        let policy = text(&settings, "content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors https://platform.example;"), "{policy}");
        assert_eq!(text(&settings, "x-frame-options"), None);
    }
}
