//! A look at a page as it stands: what axe-core finds, its size, its width; and a picture of the whole of it, where
//! `TIDEMARK_TEST_SCREENSHOTS` names a folder.

use std::path::PathBuf;

use serde_json::Value;

use super::browser::Browser;
use crate::cluster::until;

/// Put there by `cargo xtask test`, from a locked list.
const AXE: &str = "tests/browser/node_modules/axe-core/axe.min.js";
const SCREENSHOTS: &str = "TIDEMARK_TEST_SCREENSHOTS";
const LARGEST_PAGE: usize = 200 * 1024;
const RUN: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        (found) => done(found.violations.map((one) =>
            `${one.id}: ${one.help} (${one.nodes.map((node) => node.target.join(' ')).join(', ')})`)),
        (error) => done([String(error)]));";
const FILES: &str =
    "return performance.getEntriesByType('resource').reduce((sum, one) => sum + one.decodedBodySize, 0)";
const IS_WIDE: &str = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";

/// Looks at pages, and keeps what is wrong with them.
pub(super) struct Looks {
    script: String,
    pictures: Option<PathBuf>,
    problems: Vec<String>,
}

impl Looks {
    pub(super) fn new() -> Self {
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../..");
        let script = std::fs::read_to_string(root.join(AXE));
        let script = script.expect("`cargo xtask test` puts it there, or `npm ci` in tests/browser");
        let pictures = std::env::var_os(SCREENSHOTS).map(PathBuf::from);
        pictures.iter().for_each(|folder| std::fs::create_dir_all(folder).unwrap());
        Self { script, pictures, problems: Vec::new() }
    }

    /// Looks at the page that the browser shows.
    pub(super) async fn at(&mut self, browser: &Browser, name: &str) {
        browser.run(&self.script).await;
        let look = async || browser.client.execute_async(RUN, Vec::new()).await.ok();
        let found = until("axe-core has looked", look).await;
        let found = found.as_array().cloned().unwrap_or_default();
        self.problems.extend(found.iter().filter_map(Value::as_str).map(|text| format!("{name}: {text}")));
        let source = browser.client.source().await.unwrap().len();
        let files = usize::try_from(browser.run(FILES).await.as_u64().unwrap_or(0)).unwrap();
        if source + files > LARGEST_PAGE {
            self.problems.push(format!("{name}: {source} bytes and {files} bytes of files"));
        }
        if browser.run(IS_WIDE).await == true {
            self.problems.push(format!("{name}: it scrolls sideways"));
        }
        if let Some(folder) = &self.pictures {
            std::fs::write(folder.join(format!("{name}.png")), browser.picture().await).unwrap();
        }
    }

    /// Fails where something was found.
    pub(super) fn done(self) {
        assert!(self.problems.is_empty(), "{}", self.problems.join("\n"));
    }
}
