//! Where Meta is, and who we are there. Every default stands in the program's configuration.

use secrecy::SecretString;
use url::Url;

/// An app with Instagram Login.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// The Instagram app's id.
    pub app_id: String,
    /// Its secret.
    pub app_secret: SecretString,
    /// The login's page.
    pub authorize_url: Url,
    /// Where a code becomes a short token.
    pub token_url: Url,
    /// The Graph API's root.
    pub graph_url: Url,
    /// Its version, such as `v25.0`.
    pub version: String,
}

/// An app with Facebook Login.
#[derive(Debug, Clone)]
pub struct BusinessConfig {
    /// The app's id.
    pub app_id: String,
    /// Its secret.
    pub app_secret: SecretString,
    /// The root of the login's pages.
    pub dialog_url: Url,
    /// The Graph API's root.
    pub graph_url: Url,
    /// The version of both, such as `v25.0`.
    pub version: String,
    /// A configuration of Facebook Login for Business, which replaces the permissions.
    pub config_id: Option<String>,
    /// Permissions that are asked for besides those that are needed.
    pub extra_permissions: Vec<String>,
}

/// The URL of a path below a root, whether or not the root ends with a slash.
pub(crate) fn below(root: &Url, path: &[&str]) -> Url {
    let mut url = root.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}
