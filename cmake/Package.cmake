# SPDX-License-Identifier: MPL-2.0
# What other projects find us by (bfork.pc, the CMake package), where installed programs find the library, and the static archive.
include(CMakePackageConfigHelpers)

# What a program linked with the static archive needs besides it.
set(BF_STATIC_LIBS "")
foreach(package ZMQ CRYPTO)
  foreach(library ${${package}_LIBRARIES})
    list(APPEND BF_STATIC_LIBS -l${library})
  endforeach()
endforeach()
list(APPEND BF_STATIC_LIBS -lpthread -ldl -lm)
list(REMOVE_DUPLICATES BF_STATIC_LIBS)
list(JOIN BF_STATIC_LIBS " " BF_STATIC_LIBS_LINE)

file(RELATIVE_PATH BF_PC_PREFIX /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
string(REGEX REPLACE "/$" "" BF_PC_PREFIX "${BF_PC_PREFIX}")
# Programs find the library where bfork.pc lies; what a distribution installs is where the loader looks anyway.
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(BF_PC_RPATH "-Wl,-rpath,\${libdir} ")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/bfork.pc.in ${CMAKE_BINARY_DIR}/package/bfork.pc @ONLY)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/BroadforkConfig.cmake.in ${CMAKE_BINARY_DIR}/package/BroadforkConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Broadfork PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/BroadforkConfigVersion.cmake VERSION ${PROJECT_VERSION}
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/bfork.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_BINARY_DIR}/package/BroadforkConfig.cmake ${CMAKE_BINARY_DIR}/package/BroadforkConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Broadfork)

# Installed programs find libbfork beside themselves, libbfork finds libbfork-remote, wherever the prefix is moved to.
file(RELATIVE_PATH BF_BIN_TO_LIB /p/${CMAKE_INSTALL_BINDIR} /p/${CMAKE_INSTALL_LIBDIR})
set(CMAKE_INSTALL_RPATH "$ORIGIN;$ORIGIN/${BF_BIN_TO_LIB}")
# The helpers in libexec/broadfork find it from there.
file(RELATIVE_PATH BF_HELPER_TO_LIB /p/${CMAKE_INSTALL_LIBEXECDIR}/broadfork /p/${CMAKE_INSTALL_LIBDIR})
set(BF_HELPER_RPATH "$ORIGIN/${BF_HELPER_TO_LIB}")

# bf_static_archive(target OUTPUT name LAYERS a b …): libNAME.a from whole layers, as one object in which only the public functions
# are visible: what is hidden in the shared library is local here, so our inner names cannot collide with a program's own. The code for
# optimisation at link time, which objects have beside the usual one, is taken out: a linker that used it would see the hidden names again.
function(bf_static_archive target)
  cmake_parse_arguments(A "" "OUTPUT" "LAYERS" ${ARGN})
  set(files "")
  foreach(layer ${A_LAYERS})
    list(APPEND files $<TARGET_FILE:${layer}>)
  endforeach()
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${A_OUTPUT}-all.o)
  set(archive ${CMAKE_CURRENT_BINARY_DIR}/lib${A_OUTPUT}.a)
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_LINKER} -r -o ${object} --whole-archive ${files}
    COMMAND ${CMAKE_OBJCOPY} --wildcard --remove-section=.gnu.lto_* --remove-section=.gnu.debuglto_*
      --remove-section=.rela.gnu.debuglto_* --localize-hidden ${object}
    COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DOBJECT=${object} -P ${PROJECT_SOURCE_DIR}/cmake/HasCode.cmake
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
    COMMAND ${CMAKE_AR} rcs ${archive} ${object}
    DEPENDS ${A_LAYERS} COMMENT "Linking the one object of lib${A_OUTPUT}.a" VERBATIM)
  add_custom_target(${target} ALL DEPENDS ${archive})
  install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()
