//! The program itself, in a process of its own: its settings, its commands, its end, and what it leaves when it is killed.

mod commands;
mod kill;
mod secrets;
mod settings;
