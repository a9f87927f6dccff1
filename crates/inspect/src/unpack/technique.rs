//! Everything that can be seen in a file, as one table: which detector reports it, under which
//! name, how bad it is alone.

use mailkeep_model::Severity::{self, High, Low, Medium};

/// Declares [`Technique`] and its table together, so that neither can lack a row.
macro_rules! techniques {
    ($($(#[$doc:meta])* $name:ident: $detector:literal, $entity:literal, $severity:ident;)*) => {
        /// What was seen in a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Technique { $($(#[$doc])* $name,)* }

        impl Technique {
            /// The detector that reports it.
            pub(crate) fn detector(self) -> &'static str {
                match self { $(Self::$name => $detector,)* }
            }

            /// Its name in findings.
            pub(crate) fn entity(self) -> &'static str {
                match self { $(Self::$name => $entity,)* }
            }

            /// How bad it is, taken alone.
            pub(crate) fn severity(self) -> Severity {
                match self { $(Self::$name => $severity,)* }
            }
        }
    };
}

techniques! {
    Program: "attachment-program", "PROGRAM", High;
    Script: "attachment-program", "SCRIPT", High;
    /// A Windows shortcut: its target and its arguments are a command line.
    Shortcut: "attachment-program", "SHORTCUT", High;
    Installer: "attachment-program", "INSTALLER", High;
    AddIn: "attachment-program", "ADD_IN", High;
    HelpFile: "attachment-program", "COMPILED_HELP", High;
    /// `.iqy`, `.jnlp`, `.settingcontent-ms`, …: text that starts or loads something.
    Launcher: "attachment-program", "LAUNCHER", High;
    /// `.url` that leads to a web address.
    InternetShortcut: "attachment-program", "INTERNET_SHORTCUT", Medium;
    /// `invoice.pdf.exe`, turned writing direction, blanks in front of the ending.
    DeceptiveName: "attachment-name", "DECEPTIVE_NAME", High;
    /// A program that calls itself something else.
    DisguisedProgram: "attachment-name", "DISGUISED_PROGRAM", High;
    /// A document that is of another type than its name says.
    WrongType: "attachment-name", "WRONG_TYPE", Low;
    /// Mounted with a double click, and what is inside carries no mark of the web.
    DiskImage: "attachment-container", "DISK_IMAGE", Medium;
    /// Formats that are in use no more but to get past filters.
    RareArchive: "attachment-container", "RARE_ARCHIVE", Medium;
    ArchiveBomb: "attachment-container", "ARCHIVE_BOMB", Medium;
    /// Valid in two formats at once.
    Polyglot: "attachment-container", "POLYGLOT", High;
    /// Something lies behind the end of a picture or document.
    Overlay: "attachment-container", "OVERLAY", High;
    /// Bytes of another format in front of a document.
    Prefixed: "attachment-container", "PREFIXED", Medium;
    EmbeddedFile: "attachment-object", "EMBEDDED_FILE", Low;
    /// A file of any kind in a document, as Windows's Packager puts it there: a double click
    /// opens it, and nothing marks it as coming from elsewhere.
    PackagedFile: "attachment-object", "PACKAGED_FILE", Medium;
    /// A file in a OneNote page: opened with one click, past the mark of the web.
    NotebookFile: "attachment-object", "NOTEBOOK_FILE", Medium;
    /// An object of a program that has been attacked for years (equation editor and its like).
    VulnerableObject: "attachment-object", "VULNERABLE_OBJECT", High;
    ActiveX: "attachment-object", "ACTIVE_X", Low;
    /// Loaded when the document is opened, without a click.
    SelfUpdatingObject: "attachment-object", "SELF_UPDATING_OBJECT", High;
    Obfuscated: "attachment-object", "OBFUSCATED", Medium;
    Macro: "attachment-macro", "VBA", Low;
    SuspiciousMacro: "attachment-macro", "VBA_SUSPICIOUS", Medium;
    AutoMacro: "attachment-macro", "VBA_AUTO_EXEC", Medium;
    /// Runs by itself, and calls what a document has no use for.
    HarmfulMacro: "attachment-macro", "VBA_AUTO_EXEC_SUSPICIOUS", High;
    /// The source that is shown is not the code that runs.
    StompedMacro: "attachment-macro", "VBA_STOMPED", High;
    XlmMacro: "attachment-macro", "XLM", Medium;
    AutoXlmMacro: "attachment-macro", "XLM_AUTO_EXEC", High;
    OdfMacro: "attachment-macro", "ODF_MACRO", Low;
    Dde: "attachment-link", "DDE", High;
    /// A table of values whose cell starts a program.
    CommandFormula: "attachment-link", "COMMAND_FORMULA", High;
    RemoteTemplate: "attachment-link", "REMOTE_TEMPLATE", High;
    RemoteObject: "attachment-link", "REMOTE_OBJECT", High;
    /// Shown or loaded from elsewhere, as newsletters and linked workbooks do.
    ExternalLink: "attachment-link", "EXTERNAL_LINK", Low;
    /// A linked file: updated when a person agrees.
    LinkedObject: "attachment-link", "LINKED_OBJECT", Medium;
    PdfLaunch: "attachment-pdf", "PDF_LAUNCH", High;
    PdfAutoScript: "attachment-pdf", "PDF_AUTO_JAVASCRIPT", Medium;
    PdfScript: "attachment-pdf", "PDF_JAVASCRIPT", Low;
    PdfFile: "attachment-pdf", "PDF_EMBEDDED_FILE", Low;
    PdfForm: "attachment-pdf", "PDF_FORM", Low;
    /// Names written in hexadecimal, which no program does.
    PdfObfuscated: "attachment-pdf", "PDF_OBFUSCATED", Medium;
    Smuggling: "attachment-html", "HTML_SMUGGLING", High;
    ScriptedPage: "attachment-html", "SCRIPTED_PAGE", Low;
    RedirectingPage: "attachment-html", "REDIRECTING_PAGE", Medium;
    ScriptedDrawing: "attachment-html", "SCRIPTED_DRAWING", High;
    Encrypted: "attachment-encrypted", "ENCRYPTED", Low;
    /// A file that may run something, in an archive that only its recipient can open.
    EncryptedActive: "attachment-encrypted", "ENCRYPTED_ACTIVE_CONTENT", Medium;
    /// Opens without asking, and hides its content from scanners only. What that is counts by
    /// itself.
    DefaultPassword: "attachment-encrypted", "DEFAULT_PASSWORD", Medium;
    /// Not encrypted: programs refuse to change it, or to show parts of it.
    Restricted: "attachment-encrypted", "RESTRICTED", Low;
    /// Encrypted, and the password stands beside it: only scanners are kept out. What is inside
    /// counts by itself.
    PasswordInMessage: "attachment-encrypted", "PASSWORD_IN_MESSAGE", Low;
    /// The file that stands for a virus where scanners are tried (EICAR).
    TestVirus: "attachment-known", "TEST_VIRUS", High;
}
