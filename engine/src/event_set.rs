//! What an application's events are to the engine: something that is decoded from the journal's rows.

/// What a row says about its event beside the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The type of the aggregate whose stream it is in.
    pub aggregate: &'a str,
    /// The event's type.
    pub event_type: &'a str,
    /// The version of its shape.
    pub version: &'a str,
}

/// What came of decoding an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded<E> {
    /// The event.
    Event(E),
    /// An event that this set leaves out.
    NotMine,
    /// A type or a version that this program doesn't know: a newer one wrote it.
    Newer,
    /// A known type whose payload isn't as it must be, and why.
    Broken(String),
}

/// A set of events, such as all of an application's or those that one projection folds.
pub trait EventSet: Sized + Send + Sync + 'static {
    /// Decodes an event whose upcasters have run.
    fn decode(head: &Head<'_>, json: &str) -> Decoded<Self>;
}

impl<E> Decoded<E> {
    /// Why there is no event although there should be one.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Event(_) | Self::NotMine => None,
            Self::Newer => Some("a type or a version that this program does not know".to_owned()),
            Self::Broken(why) => Some(why.clone()),
        }
    }
}
