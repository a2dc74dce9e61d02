//! The files beside the pages: one style sheet, one script, one icon. Their addresses change with their content, so that
//! browsers may keep them for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset("css", "text/css; charset=utf-8", include_str!("../assets/console.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset("js", "text/javascript; charset=utf-8", include_str!("../assets/console.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| asset("svg", "image/svg+xml", include_str!("../assets/icon.svg")));

fn asset(extension: &str, kind: &'static str, text: &'static str) -> Asset {
    let hash = hex::encode(&Sha256::digest(text)[..6]);
    Asset { name: format!("console-{hash}.{extension}"), kind, text }
}

/// The style sheet's file name.
pub(crate) fn style() -> &'static str {
    &STYLE.name
}

/// The script's file name.
pub(crate) fn script() -> &'static str {
    &SCRIPT.name
}

/// The icon's file name.
pub(crate) fn icon() -> &'static str {
    &ICON.name
}

pub(crate) async fn serve(Path(name): Path<String>) -> Result<Response, Failure> {
    let found = [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name);
    let asset = found.ok_or_else(Failure::not_found)?;
    let headers =
        [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.text).into_response())
}
