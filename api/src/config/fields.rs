//! How single values are read, and how what is wrong with them is said.

use std::{fmt::Display, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Number(i64),
}

/// A number, also as text: the environment has only texts.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr + TryFrom<i64>,
    T::Err: Display,
{
    match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text.trim().parse().map_err(|_| D::Error::custom("it must be a whole number")),
        TextOrNumber::Number(number) => T::try_from(number).map_err(|_| D::Error::custom("it is out of range")),
    }
}

/// A text, also as a number: an id of digits in a file.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<TextOrNumber>::deserialize(deserializer)?.map(|value| match value {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    }))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrBool {
    Text(String),
    Bool(bool),
}

/// Yes or no, also as a text.
pub(super) fn yes_or_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match TextOrBool::deserialize(deserializer)? {
        TextOrBool::Bool(yes) => Ok(yes),
        TextOrBool::Text(text) => text.trim().parse().map_err(|_| D::Error::custom("it must be true or false")),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumbers {
    Text(String),
    Number(u32),
    Numbers(Vec<u32>),
}

/// A list of numbers, also as a text with commas.
pub(super) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let wrong = || D::Error::custom("it must be whole numbers, such as 14,7,1");
    match TextOrNumbers::deserialize(deserializer).map_err(|_| wrong())? {
        TextOrNumbers::Numbers(numbers) => Ok(numbers),
        TextOrNumbers::Number(number) => Ok(vec![number]),
        TextOrNumbers::Text(text) => text
            .split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| part.trim().parse().map_err(|_| wrong()))
            .collect(),
    }
}

/// A list of words, also as a text with commas.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrTexts {
        Text(String),
        Texts(Vec<String>),
    }
    let wrong = || D::Error::custom("it must be words, such as business_management");
    let texts = match TextOrTexts::deserialize(deserializer).map_err(|_| wrong())? {
        TextOrTexts::Texts(texts) => texts,
        TextOrTexts::Text(text) => text.split(',').map(str::to_owned).collect(),
    };
    let texts: Vec<_> = texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    let is_word = |text: &String| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if texts.iter().all(is_word) { Ok(texts) } else { Err(wrong()) }
}

/// A list of networks in CIDR form; a single address is a network of its own.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let network = |text: String| {
        let text = text.trim();
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| D::Error::custom("it must be addresses or networks, such as 10.0.0.0/8"))?;
        match canonical(network) {
            all if all.prefix_len() == 0 => Err(D::Error::custom("it must not be the network of all addresses")),
            network => Ok(network),
        }
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(network).collect()
}

/// An IPv4 network that is written as an IPv6 one, as IPv4: peers are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(network) => network.addr().to_ipv4_mapped().zip(network.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    mapped.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok()).map_or(network, IpNet::V4)
}

/// A default that is known to be a URL.
pub(super) fn url(text: &str) -> Url {
    match Url::parse(text) {
        Ok(url) => url,
        Err(_) => unreachable!("{text} is a URL"),
    }
}

/// One sentence that names the key. What stands there isn't shown: it may be a secret.
pub(super) fn sentence(error: &figment::Error) -> String {
    use figment::error::Kind;
    let key = error.path.join(".");
    match &error.kind {
        // The path ends with the field.
        Kind::UnknownField(..) => format!("There is no key {key}."),
        Kind::MissingField(field) => {
            format!("{} is missing.", [&error.path[..], &[field.to_string()]].concat().join("."))
        }
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => format!("{key} must be {expected}."),
        Kind::Message(message) if key.is_empty() => format!("The configuration can't be read: {}.", one_line(message)),
        Kind::Message(message) if !message.contains("relative URL") && !message.contains("socket address") => {
            format!("{key} is wrong: {}.", one_line(message))
        }
        Kind::Message(message) if message.contains("relative URL") => {
            format!("{key} is wrong: it must be an address such as https://relight.example.")
        }
        _ => format!("{key} is wrong: it must be an address and a port, such as 127.0.0.1:4000."),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
