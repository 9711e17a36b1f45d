//! Meta's messages as support may read them. Meta quotes in them what it was asked with: tokens, ids, names.

/// So many characters are kept.
const KEPT: usize = 300;
/// What stands for what was cut out.
const CUT: &str = "…";
/// Names of Meta's, which are written like somebody's.
const TERMS: &[&str] =
    &["access_token", "appsecret_proof", "client_id", "client_secret", "redirect_uri", "instagram_business_account"];
/// How tokens begin, however short they are.
const TOKENS: &[&str] = &["EAA", "IGAA", "IGQV"];
/// How permissions begin.
const PERMISSIONS: &[&str] = &["ads_", "business_", "instagram_", "pages_", "public_", "user_"];

/// A message without tokens, ids, addresses, and what is quoted or written like a name.
pub(crate) fn without_names(message: &str) -> String {
    // What comes after this is what somebody typed.
    let said = message.split_inclusive("do not exist:").next().unwrap_or_default();
    let mut words = Vec::new();
    let mut quoted = None;
    for word in said.split_whitespace() {
        // A quotation goes to the next mark of its kind, over several words.
        if let Some(mark) = quoted {
            if closes(word, mark) {
                quoted = None;
            }
            continue;
        }
        quoted = opens(word).filter(|mark| !closes(word.trim_start_matches('(').trim_start_matches(*mark), *mark));
        let plain = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_kept =
            quoted.is_none() && !word.contains('@') && (is_term(plain) || opens(word).is_none() && is_word(plain));
        let shown = if is_kept { word.to_owned() } else { CUT.to_owned() };
        if shown != CUT || words.last().is_none_or(|last| last != CUT) {
            words.push(shown);
        }
    }
    words.join(" ").chars().take(KEPT).collect()
}

fn opens(word: &str) -> Option<char> {
    word.trim_start_matches('(').chars().next().filter(|first| "'\"`‘“".contains(*first))
}

fn closes(word: &str, mark: char) -> bool {
    let mark = match mark {
        '‘' => '’',
        '“' => '”',
        mark => mark,
    };
    word.trim_end_matches(['.', ',', ';', ':', ')', '!', '?']).ends_with(mark)
}

fn is_term(word: &str) -> bool {
    TERMS.contains(&word)
        || PERMISSIONS.iter().any(|begins| word.starts_with(begins))
            && word.len() < 60
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Words of a language, short numbers, dates and times: no ids, addresses, handles or anything that is written like them.
fn is_word(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    word.chars().count() <= 20
        && !TOKENS.iter().any(|begins| word.starts_with(begins))
        && digits <= 6
        && (letters == 0 || digits <= 4)
        && !word.contains(['_', '/', '=', '%', '|'])
        && (letters == 0 || !word.contains('.') || is_domain_of_meta(word))
}

fn is_domain_of_meta(word: &str) -> bool {
    ["www.facebook.com", "facebook.com", "m.facebook.com", "instagram.com", "www.instagram.com"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_stay_and_what_names_somebody_goes() {
        for (message, shown) in [
            (
                "(#10) Application does not have permission for this action",
                "(#10) Application does not have permission for this action",
            ),
            ("Malformed access token IGAAabcdefghij0123456789", "Malformed access token …"),
            (
                "(#283) Requires pages_read_engagement permission to manage the object",
                "(#283) Requires pages_read_engagement permission to manage the object",
            ),
            ("Object with ID '17841400000000001' does not exist", "Object with ID … does not exist"),
            ("The page 'Ann Smith Bakery' is gone", "The page … is gone"),
            (
                "(#803) Some of the aliases you requested do not exist: luma",
                "(#803) Some of the aliases you requested do not exist:",
            ),
            ("Error for good.one and @luma at https://example.com/x?access_token=EAAB", "Error for … and … at …"),
            (
                "Session has expired on Friday, 14-Nov-26 08:00:00 PST.",
                "Session has expired on Friday, 14-Nov-26 08:00:00 PST.",
            ),
            ("requires the 'instagram_basic' permission", "requires the 'instagram_basic' permission"),
        ] {
            assert_eq!(without_names(message), shown);
        }
    }

    #[test]
    fn however_long_a_message_is_it_stays_short() {
        assert!(without_names(&"word ".repeat(10_000)).chars().count() <= KEPT);
    }
}
