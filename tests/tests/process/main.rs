//! The program itself, in a process of its own: its settings, its commands, its end, and what it prints.

mod commands;
mod demo;
mod keys;
mod made;
mod mails;
mod memory;
mod pipes;
mod secrets;
mod settings;
