//! Holds the project to its rules: how large files are, who imports whom, what must not be written, and that documents
//! name what there is. Each failure says where and which rule.

mod documents;
mod errors_page;
mod files;
mod guides;
mod imports;
mod sizes;
mod words;
