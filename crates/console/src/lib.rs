#![doc = include_str!("../README.md")]

mod asset;
mod chart;
mod cookie;
mod failure;
mod form;
mod headers;
mod http;
mod limit;
mod live;
mod page;
mod pages;
mod server;
mod services;
mod settings;
mod view;
mod visitor;

pub use server::Console;
pub use services::Services;
pub use settings::Settings;
