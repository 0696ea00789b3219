# What is wrong with an SSH key that is to let somebody in; null if nothing is.
key:

let
  # What the body of a key begins with: its length and its name, in base64.
  kinds = {
    "ssh-ed25519" = "AAAAC3NzaC1lZDI1NTE5";
    "ssh-rsa" = "AAAAB3NzaC1yc2E";
    "ecdsa-sha2-nistp256" = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY";
    "ecdsa-sha2-nistp384" = "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQ";
    "ecdsa-sha2-nistp521" = "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjE";
    "sk-ssh-ed25519@openssh.com" = "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t";
    "sk-ecdsa-sha2-nistp256@openssh.com" = "AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb2";
  };
  # Options, such as from="...", may stand before it, and a comment behind it.
  is = kind: builtins.match "(.* )?${kind} ${kinds.${kind}}[A-Za-z0-9+/]{32,}={0,2}( .*)?" key != null;
  contains = text: builtins.match ".*${text}.*" (builtins.replaceStrings [ "\n" ] [ " " ] key) != null;
in
if contains "PRIVATE KEY" || contains "PuTTY-User-Key-File" then
  "is a private key, which belongs on no other machine; give the public one, from the file that ends in .pub"
else if key == "" then
  "is empty"
else if contains "ssh-dss" then
  "is a DSA key, which sshd does not take any more"
else if builtins.match "[^\n]*" key == null then
  "is several lines; give each key as an entry of its own"
else if builtins.any is (builtins.attrNames kinds) then
  null
else
  "is no public SSH key, such as ssh-ed25519 AAAAC3Nza..."
