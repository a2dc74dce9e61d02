//! Chromium without a screen, driven through its WebDriver.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::WebDriverCompatibleCommand};
use serde_json::{Value, json};
use tonic::codegen::http::Method;
use url::{ParseError, Url};

use tidemark_testkit::reserve_port;

use crate::cluster::until;

const PATIENCE: Duration = Duration::from_secs(60);

/// How the browser is set.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taste {
    pub(crate) is_dark: bool,
    pub(crate) without_scripts: bool,
    /// 1280 where it is 0.
    pub(crate) width: u32,
}

pub(crate) struct Browser {
    driver: Child,
    pub(crate) client: Client,
    base: String,
}

impl Browser {
    pub(crate) async fn open(base: &str, taste: Taste) -> Self {
        let port = reserve_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: `cargo xtask test` does it, or Debian's `chromium-driver`");
        let capabilities = capabilities(taste);
        let client = until("the browser is open", async || {
            let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(capabilities.clone());
            builder.connect(&format!("http://127.0.0.1:{port}")).await.ok()
        })
        .await;
        Self { driver, client, base: base.to_owned() }
    }

    /// Goes to a page of the console.
    pub(crate) async fn visit(&self, path: &str) {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.client.goto(&url).await.unwrap();
    }

    /// The element, once it is there.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("no `{css}`: {error}\n{}", self.text().await),
        }
    }

    /// Clicks it; once more where it was replaced in that moment.
    pub(crate) async fn click(&self, css: &str) {
        let clicked = async || self.find(css).await.click().await.ok();
        until("it can be clicked", clicked).await;
    }

    /// Clicks the link or button of that text.
    pub(crate) async fn press(&self, text: &str) {
        let path = format!("//main//*[self::a or self::button][normalize-space(text())='{text}']");
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        match found {
            Ok(element) => element.click().await.unwrap(),
            Err(error) => panic!("no `{text}`: {error}\n{}", self.text().await),
        }
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    /// What a person reads.
    pub(crate) async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        }
    }

    /// Waits until the page says so; by itself, nothing is loaded again.
    pub(crate) async fn reads(&self, text: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now = self.text().await;
            if now.contains(text) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "waited in vain for `{text}`:\n{now}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Of the whole page, beyond what the window shows.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let made = self.client.issue_cmd(Picture).await.unwrap();
        BASE64_STANDARD.decode(made["data"].as_str().unwrap()).unwrap()
    }

    pub(crate) async fn close(self) {
        self.client.clone().close().await.ok();
    }
}

/// Asks Chromium itself: WebDriver knows pictures of the window only.
#[derive(Debug)]
struct Picture;

impl WebDriverCompatibleCommand for Picture {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let command = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
        (Method::POST, Some(command.to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Softly: the driver then takes its browser along.
        Command::new("kill").arg(self.driver.id().to_string()).status().ok();
        self.driver.wait().ok();
    }
}

fn capabilities(taste: Taste) -> serde_json::Map<String, Value> {
    let width = if taste.width == 0 { 1280 } else { taste.width };
    // The window of a headless browser is no narrower than this by itself: phones are emulated.
    let mut options = json!({
        "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            format!("--window-size={width},900"),
            format!("--blink-settings=preferredColorScheme={}", u8::from(!taste.is_dark)),
        ],
    });
    if taste.width != 0 {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": width, "height": 844, "pixelRatio": 2.0 } });
    }
    if taste.without_scripts {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    let all = json!({ "browserName": "chrome", "goog:chromeOptions": options });
    all.as_object().unwrap().clone()
}
