-- The search index: which words, senders and tenants occur in which conversation.

CREATE TABLE terms (
    term         INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    PRIMARY KEY (term, conversation)
) WITHOUT ROWID;
