-- Two more kinds of mail.
ALTER TABLE mails DROP CONSTRAINT mails_kind_check;
ALTER TABLE mails ADD CONSTRAINT mails_kind_check CHECK (kind IN ('expired', 'reminder', 'recovered',
    'refreshed_by_visitor', 'incident', 'reading_refused', 'renewal_failing'));
